/** The parts of the documentation that are made from the code. `npm run generate` writes them, tests keep them current. */
import { spawnSync } from 'node:child_process';
import { COMPONENT_CLASSES, type ComponentRegistry } from '../collector/config/component.ts';
import type { JsonSchema } from '../collector/config/expectation.ts';
import { configJsonSchema, serviceJsonSchema, toJsonSchema } from '../collector/config/json-schema.ts';
import { ERRORS } from '../collector/errors.ts';

/** The text of docs/config.schema.json. */
export function schemaText(registry: ComponentRegistry): string {
  return formatJson(configJsonSchema(registry), 'docs/config.schema.json');
}

/** The text of a JSON file, laid out by the linter, which checks it like every other. */
export function formatJson(value: unknown, file: string): string {
  const { stdout } = spawnSync('node_modules/.bin/biome', ['format', `--stdin-file-path=${file}`], {
    input: JSON.stringify(value),
    encoding: 'utf8',
  });
  return stdout;
}

/** The table of docs/errors.md. */
export function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { message, remedy, exitCode }]) => `| \`${code}\` | ${cell(message)} | ${cell(remedy)} | ${exitCode} |`,
  );
  return ['| code | message | what to do | exit code |', '|---|---|---|---|', ...rows].join('\n');
}

/** The reference in docs/configuration.md: a table of keys for each component, and for the service. */
export function configReference(registry: ComponentRegistry): string {
  const components = COMPONENT_CLASSES.flatMap((componentClass) => [
    `### ${componentClass}`,
    ...Object.entries(registry[componentClass]).map(
      ([type, { configSchema }]) => `#### \`${type}\`\n\n${keyTable(toJsonSchema(configSchema))}`,
    ),
  ]);
  return [...components, `### service\n\n${keyTable(serviceJsonSchema(registry))}`].join('\n\n');
}

function keyTable(schema: JsonSchema): string {
  const rows = keyRows(schema, '');
  if (rows.length === 0) return 'No keys.';
  return ['| key | what is written | default | |', '|---|---|---|---|', ...rows].join('\n');
}

function keyRows(schema: JsonSchema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const path = `${prefix}${key}`;
    // Ids that users choose: what stands under each.
    const named = Object.entries(value.patternProperties ?? {}).map(([pattern, each]) => [idIn(pattern), each]);
    const properties = value.properties ?? (named.length > 0 ? Object.fromEntries(named) : undefined);
    if (properties !== undefined) {
      const heading =
        value.description === undefined ? [] : [`| \`${path}\` | a mapping | | ${cell(value.description)} |`];
      return [...heading, ...keyRows({ properties }, `${path}.`)];
    }
    const fallback = value.default === undefined ? '' : `\`${JSON.stringify(value.default)}\``;
    const row = `| \`${path}\` | ${cell(written(value))} | ${cell(fallback)} | ${cell(value.description ?? '')} |`;
    // The keys of the things in a list.
    return [row, ...keyRows(value.items ?? {}, `${path}[].`)];
  });
}

/** `^logs(/[^\\s/]+)?$` -> `logs`. */
function idIn(pattern: string): string {
  return /^\^(\w+)/.exec(pattern)?.[1] ?? pattern;
}

function written(schema: JsonSchema): string {
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches !== undefined) return branches.map(written).join(' or ');
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.type === 'array') return schema.items?.type === undefined ? 'list' : `list of ${written(schema.items)}`;
  const { minimum, maximum } = schema;
  const isBounded = maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER;
  const range = isBounded ? ` ${minimum}..${maximum}` : minimum === undefined ? '' : ` >= ${minimum}`;
  return `${String(schema.type ?? 'anything')}${schema.type === 'integer' || schema.type === 'number' ? range : ''}`;
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

const GENERATED = /(<!-- generated:.*-->)\n[\s\S]*?(<!-- end of generated -->)/;

/** The page with what stands between its marks replaced. */
export function withGenerated(page: string, generated: string): string {
  return page.replace(GENERATED, (_, start, end) => `${start}\n\n${generated}\n\n${end}`);
}
