import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { ShikraError } from '../errors.ts';
import { checkPipelines, pipelinesOfAll, unusedComponents } from './check-pipelines.ts';
import { COMPONENT_CLASSES, type Component, type ComponentClass, type ComponentRegistry, typeOf } from './component.ts';
import { type Config, ConfigError } from './config.ts';
import { DEFAULTS, defaultDocument } from './defaults.ts';
import { type ConfigDocument, readDocument } from './document.ts';
import type { Environment } from './environment.ts';
import { describeIssue, type JsonSchema, schemaAt } from './expectation.ts';
import { suggestion } from './nearest.ts';
import { byPlace, type KeyPath, type Problem } from './problem.ts';
import { BUNDLED_RULES } from './receivers.ts';
import { createServiceSchema, PIPELINE_SCHEMAS, type Pipelines, type ServiceConfig, signalOf } from './service.ts';

export interface LoadSettings {
  readonly registry: ComponentRegistry;
  /** Where `${env:NAME}` is looked up. */
  readonly environment: Environment;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly Problem[];
}

/**
 * Reads and checks a configuration file.
 * @throws ShikraError CONFIG_UNREADABLE, or {@link ConfigError} with every mistake found
 */
export function loadConfig(file: string, settings: LoadSettings): LoadedConfig {
  return parseConfig(readText(file), file, settings);
}

/** The configuration in use when no file is given: see {@link DEFAULTS}. */
export function defaultConfig({ registry, environment }: LoadSettings): Config {
  const text = JSON.stringify(defaultDocument(environment));
  return { ...parseConfig(text, '(defaults)', { registry, environment: {} }).config, file: undefined };
}

/** Like {@link loadConfig}, of a text; `file` is what messages call it. */
export function parseConfig(text: string, file: string, { registry, environment }: LoadSettings): LoadedConfig {
  const document = readDocument(text, file, environment);
  if (!document.isReadable) throw new ConfigError([...document.problems].sort(byPlace));

  const check = new Check(document);
  const written = check.mapping([], document.value);
  check.knownKeys(written);
  const sections = { ...DEFAULTS, ...withoutEmpty(written) };
  const components = {
    receivers: check.components('receivers', sections.receivers, registry),
    processors: check.components('processors', sections.processors, registry),
    exporters: check.components('exporters', sections.exporters, registry),
  };
  const { pipelines: joined, ...rest } = check.mapping(['service'], sections.service);
  const service = check.service(rest, registry);
  const checkedPipelines = joined === undefined || joined === null ? undefined : check.pipelines(joined);
  const pipelines = checkedPipelines ?? pipelinesOfAll(components, registry);
  if (checkedPipelines !== undefined) {
    // A component with a mistake of its own is defined all the same.
    checkPipelines(pipelines, check.named(components), registry, (path, message) => check.report(path, message));
  }
  if (service === undefined || check.problems.length > 0) throw new ConfigError([...check.problems].sort(byPlace));

  const warnings = unusedComponents(pipelines, components)
    .filter(([componentClass]) => Object.hasOwn(written, componentClass as string))
    .map((path) => document.problemAtKey(path, 'defined, but no pipeline uses it'));
  const config: Config = { file, ...components, service: { ...service, pipelines } as ServiceConfig };
  return { config: withAbsolutePaths(config), warnings };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new ShikraError('CONFIG_UNREADABLE', `${file} ${reason}`, { cause: error });
  }
}

const NO_LOGS = { receivers: [], processors: [], exporters: [] };

/** The steps of a check, which collect what they find. */
class Check {
  readonly problems: Problem[];
  readonly #document: ConfigDocument;
  /** Ids whose component has a mistake, so that references to them are not called mistakes too. */
  readonly #faulty: Record<ComponentClass, Component[]> = { receivers: [], processors: [], exporters: [] };

  constructor(document: ConfigDocument) {
    this.#document = document;
    this.problems = [...document.problems];
  }

  report(path: KeyPath, message: string): void {
    const problem = this.#document.problemAt(path, message);
    // A value that a broken `${env:...}` left behind is not looked at: its own message is there already.
    const isAt = (other: Problem) => other.line === problem.line && other.column === problem.column;
    if (!this.#document.problems.some(isAt)) this.problems.push(problem);
  }

  reportKey(path: KeyPath, message: string): void {
    this.problems.push(this.#document.problemAtKey(path, message));
  }

  /** The value as a mapping; nothing at all is an empty one. */
  mapping(path: KeyPath, value: unknown): Record<string, unknown> {
    if (value === null || value === undefined) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
    this.report(path, `expected a mapping of keys, got ${this.#show(path, value)}`);
    return {};
  }

  knownKeys(root: Record<string, unknown>): void {
    const known = Object.keys(DEFAULTS);
    for (const key of Object.keys(root)) {
      if (!known.includes(key)) this.reportKey([key], `unknown key; ${suggestion(key, known)}`);
    }
  }

  components(componentClass: ComponentClass, section: unknown, registry: ComponentRegistry): Record<string, Component> {
    const checked: Record<string, Component> = {};
    for (const [id, value] of Object.entries(this.mapping([componentClass], section))) {
      const component = this.#component(componentClass, id, value, registry);
      if (component !== undefined) checked[id] = component;
    }
    return checked;
  }

  #component(componentClass: ComponentClass, id: string, value: unknown, registry: ComponentRegistry) {
    const type = typeOf(id);
    const kinds = registry[componentClass];
    const path = [componentClass, id];
    if (type === undefined) {
      this.reportKey(path, 'expected an id like `type` or `type/name`, in lower case');
    } else if (!Object.hasOwn(kinds, type)) {
      this.reportKey(path, `unknown type \`${type}\`; ${suggestion(type, Object.keys(kinds))}`);
    } else {
      const config = this.schema(path, kinds[type]!.configSchema, value ?? {});
      if (config !== undefined) return { id, type, config };
    }
    this.#faulty[componentClass].push({ id, type: type ?? '', config: undefined });
    return undefined;
  }

  /** Every component that the file defines, right or wrong. */
  named(
    components: Record<ComponentClass, Record<string, Component>>,
  ): Record<ComponentClass, Record<string, Component>> {
    const withFaulty = (componentClass: ComponentClass) => ({
      ...components[componentClass],
      ...Object.fromEntries(this.#faulty[componentClass].map((component) => [component.id, component])),
    });
    const [receivers, processors, exporters] = COMPONENT_CLASSES.map(withFaulty);
    return { receivers: receivers!, processors: processors!, exporters: exporters! };
  }

  /** `pipelines` is checked apart, but belongs to what is known when a key is not. */
  service(value: unknown, registry: ComponentRegistry) {
    return this.schema(['service'], createServiceSchema(registry.storeSchema), value, ['pipelines']);
  }

  /** Undefined after a mistake: what leads nowhere because of it is not a mistake too. */
  pipelines(value: unknown): Pipelines | undefined {
    const path = ['service', 'pipelines'];
    const before = this.problems.length;
    const written = this.mapping(path, value);
    const checked: Record<string, unknown> = { logs: NO_LOGS, metrics: { exporters: [] } };
    for (const [id, pipeline] of Object.entries(written)) {
      const signal = signalOf(id);
      if (signal === undefined)
        this.reportKey([...path, id], `unknown pipeline; ${suggestion(id, Object.keys(PIPELINE_SCHEMAS))}`);
      else checked[id] = this.schema([...path, id], PIPELINE_SCHEMAS[signal], pipeline);
    }
    const hasLogs = Object.keys(written).some((id) => signalOf(id) === 'logs');
    if (!hasLogs) this.report(path, 'expected a pipeline `logs`, or several like `logs/name`, but there is none');
    return this.problems.length > before ? undefined : (checked as unknown as Pipelines);
  }

  /** The value with defaults filled in, or undefined after reporting what is wrong with it. */
  schema<Schema extends z.ZodType>(
    path: KeyPath,
    schema: Schema,
    value: unknown,
    alsoKnown: readonly string[] = [],
  ): z.infer<Schema> | undefined {
    const result = schema.safeParse(value ?? {});
    if (result.success) return result.data;
    const expected = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
    const show = (inner: KeyPath) =>
      schemaAt(expected, inner)?.writeOnly === true
        ? 'a value that is kept secret'
        : this.#show([...path, ...inner], valueAt(value, inner));
    for (const finding of result.error.issues.flatMap((issue) => describeIssue(issue, expected, show, alsoKnown))) {
      const at = [...path, ...finding.path];
      if (finding.isAboutKey) this.reportKey(at, finding.message);
      else this.report(at, finding.message);
    }
    return undefined;
  }

  /** A value as a message shows it. One that came from a variable stays unsaid: it may be a secret. */
  #show(path: KeyPath, value: unknown): string {
    const source = this.#document.sourceOf(path);
    if (source !== undefined) return `the value of \`${source}\``;
    if (value === undefined) return '';
    if (value === null) return 'nothing';
    if (Array.isArray(value)) return 'a list';
    return typeof value === 'object' ? 'a mapping of keys' : JSON.stringify(value);
  }
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((at, part) => (at as Record<string | number, unknown> | null | undefined)?.[part], value);
}

/** A section that is only a heading counts as left out. */
function withoutEmpty(sections: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(sections).filter(([, value]) => value !== null));
}

/** The rules that come with Shikra, and SQLite's store in memory. */
const NOT_PATHS = new Set([BUNDLED_RULES, ':memory:']);

/** Keys of receivers that hold paths. */
const PATH_KEYS = ['rules_files', 'files', 'positions_file'] as const;

/** Paths in a file mean the same wherever the command is run. */
function withAbsolutePaths(config: Config): Config {
  const folder = config.file === undefined ? '.' : dirname(config.file);
  const absolute = (path: string) => (NOT_PATHS.has(path) ? path : resolve(folder, path));
  const receivers = Object.fromEntries(
    Object.entries(config.receivers).map(([id, receiver]) => {
      const own = receiver.config as Partial<Record<(typeof PATH_KEYS)[number], string | readonly string[]>>;
      const paths = PATH_KEYS.flatMap((key) => {
        const value = own[key];
        return value === undefined ? [] : [[key, typeof value === 'string' ? absolute(value) : value.map(absolute)]];
      });
      return [id, { ...receiver, config: { ...own, ...Object.fromEntries(paths) } }];
    }),
  );
  const store = { ...config.service.store, path: absolute(config.service.store.path) };
  const exporters = Object.fromEntries(
    Object.entries(config.exporters).map(([id, exporter]) => [
      id,
      { ...exporter, config: withAbsoluteFiles(exporter.config, absolute) },
    ]),
  );
  return { ...config, receivers, exporters, service: { ...config.service, store } };
}

/** Exporters name files (certificates, secrets) by keys that end in `_file`, at the top or under `tls`. */
function withAbsoluteFiles(config: unknown, absolute: (path: string) => string): unknown {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) return config;
  const entries = Object.entries(config).map(([key, value]) => {
    if (key.endsWith('_file') && typeof value === 'string') return [key, absolute(value)];
    return [key, key === 'tls' ? withAbsoluteFiles(value, absolute) : value];
  });
  return Object.fromEntries(entries);
}
