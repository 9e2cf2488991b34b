/**
 * `node scripts/tools.ts alertmanager ...`, or `all`: the real receivers that tests send to, built from Go's module proxy into the user's cache. The
 * first time takes minutes, afterwards nothing. Prints where each is.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

interface ModuleTool {
  readonly module: string;
  readonly version: string;
  /** The folder of the program in the module. */
  readonly folder: string;
  /** Folders of built web pages, which the module does not have: tests need none, the compiler wants something there. */
  readonly pages?: readonly string[];
  /** What Go's build tags leave out. */
  readonly tags?: string;
  /** Modules that it takes from a folder of its repository, which the proxy does not give: the version to take instead. */
  readonly published?: Readonly<Record<string, string>>;
}

/** A Collector that has what is listed and nothing else. */
interface CollectorTool {
  readonly version: string;
  /** Go modules by kind of component, all of {@link version}. */
  readonly components: Readonly<Record<string, readonly string[]>>;
}

type Tool = ModuleTool | CollectorTool;

const ALERTMANAGER = {
  module: 'github.com/prometheus/alertmanager',
  version: 'v0.34.2',
  pages: ['ui/app/dist'],
};
/** Prometheus 3.x is version 0.3xx as a module. */
const PROMETHEUS = {
  module: 'github.com/prometheus/prometheus',
  // v0.316.0 needs modules that the proxy does not give.
  version: 'v0.315.0',
  // Without the clients of thirty clouds: tests find their targets in files.
  tags: 'remove_all_sd',
};
const LOKI = {
  module: 'github.com/grafana/loki/v3',
  version: 'v3.7.8',
  published: { 'github.com/grafana/loki/pkg/push': 'v0.0.0-20250630054201-94c0ba7b0952' },
};
// v0.163.0 and v0.164.0 need a module that the proxy does not give.
const COLLECTOR_VERSION = 'v0.162.0';
const CORE = 'go.opentelemetry.io/collector';
const CONTRIB = 'github.com/open-telemetry/opentelemetry-collector-contrib';

export const TOOLS = {
  alertmanager: { ...ALERTMANAGER, folder: 'cmd/alertmanager' },
  amtool: { ...ALERTMANAGER, folder: 'cmd/amtool' },
  prometheus: { ...PROMETHEUS, folder: 'cmd/prometheus' },
  promtool: { ...PROMETHEUS, folder: 'cmd/promtool' },
  loki: { ...LOKI, folder: 'cmd/loki' },
  logcli: { ...LOKI, folder: 'cmd/logcli' },
  ocb: { module: `${CORE}/cmd/builder`, version: COLLECTOR_VERSION, folder: '.' },
  collector: {
    version: COLLECTOR_VERSION,
    components: {
      receivers: [`${CORE}/receiver/otlpreceiver`],
      processors: [`${CORE}/processor/memorylimiterprocessor`, `${CORE}/processor/batchprocessor`],
      exporters: [
        `${CORE}/exporter/otlpexporter`,
        `${CORE}/exporter/otlphttpexporter`,
        `${CORE}/exporter/debugexporter`,
      ],
      extensions: [`${CONTRIB}/extension/storage/filestorage`, `${CONTRIB}/extension/healthcheckextension`],
    },
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'shikra', 'tools');

/** Where a tool is, or will be when it is built. */
export function toolPath(name: ToolName): string {
  return join(cache, `${name}-${TOOLS[name].version}`);
}

/** The tool, if it was built; undefined otherwise. Tests skip what is not there: they must not compile for minutes. */
export function builtTool(name: ToolName): string | undefined {
  const path = toolPath(name);
  return existsSync(path) ? path : undefined;
}

/** Builds the tool if it is not there. @returns its path */
export async function buildTool(name: ToolName): Promise<string> {
  const path = toolPath(name);
  if (existsSync(path)) return path;
  const tool: Tool = TOOLS[name];
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, `${name}-`));
  const sources = join(work, 'src');
  try {
    console.error(`tools: ${name} ${tool.version}: fetching`);
    if ('module' in tool) copyModule(tool, sources);
    else await generateCollector(tool, sources);
    await compile(name, tool, sources, join(work, name));
    // Whole or not at all: another process may build the same.
    renameSync(join(work, name), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

/** As a main module of its own, since `go install` takes none that replaces others. */
function copyModule({ module, version, pages = [], published = {} }: ModuleTool, to: string): void {
  cpSync(fetchModule(module, version), to, { recursive: true });
  spawnSync('chmod', ['-R', 'u+w', to]); // modules are read-only
  for (const page of pages) placeholder(join(to, page));
  for (const [name, its] of Object.entries(published))
    go(to, 'mod', 'edit', `-dropreplace=${name}`, `-require=${name}@${its}`);
}

/** By OpenTelemetry's own builder, which makes a main module that joins the components. */
async function generateCollector({ version, components }: CollectorTool, to: string): Promise<void> {
  const ocb = await buildTool('ocb');
  const kinds = Object.entries(components).map(([kind, modules]) => [
    kind,
    modules.map((gomod) => ({ gomod: `${gomod} ${version}` })),
  ]);
  const dist = { name: 'collector', module: 'shikra.test/collector', output_path: to };
  const manifest = join(to, '..', 'manifest.yaml');
  writeFileSync(manifest, JSON.stringify({ dist, ...Object.fromEntries(kinds) }));
  const { status, stderr } = spawnSync(ocb, [`--config=${manifest}`, '--skip-compilation'], RUN);
  if (status !== 0) throw new Error(`ocb: ${stderr.trim().split('\n').slice(-5).join('\n')}`);
}

const RUN = { encoding: 'utf8', timeout: 15 * 60_000, maxBuffer: 1 << 26 } as const;

function go(cwd: string, ...parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('go', parameters, { ...RUN, cwd });
  if (status === 0) return stdout;
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') throw new Error('Go is missing: install it');
  throw new Error(`go ${parameters.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`);
}

function fetchModule(module: string, version: string): string {
  const { Dir: folder } = JSON.parse(go(cache, 'mod', 'download', '-json', `${module}@${version}`)) as { Dir: string };
  return folder;
}

function placeholder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>no pages</title>');
}

const PROGRESS_MILLIS = 10_000;

/** At the lowest priority: whoever waits for it has other things to do. */
function compile(name: ToolName, tool: Tool, cwd: string, output: string): Promise<void> {
  const { folder = '.', tags = '', published }: Partial<ModuleTool> = 'module' in tool ? tool : {};
  // go.sum has no sums of modules that were in the repository: Go asks the checksum database for them.
  const mod = published === undefined ? [] : ['-mod=mod'];
  const build = [
    'go',
    'build',
    '-v',
    '-trimpath',
    ...mod,
    `-tags=${tags}`,
    '-ldflags=-s -w',
    '-o',
    output,
    `./${folder}`,
  ];
  // Prometheus' workspace names modules that are not part of what the proxy gives.
  const env = { ...process.env, GOWORK: 'off' };
  const child = spawn('nice', ['-n', '19', ...build], { cwd, env, stdio: ['ignore', 'inherit', 'pipe'] });
  let packages = 0;
  // Packages as they are begun; and what is wrong with the last of them.
  const told: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (!line.startsWith('go: ')) packages++;
    told.push(line);
  });
  const progress = setInterval(
    () => console.error(`tools: ${name}: ${packages} packages compiled, now ${told.at(-1) ?? 'looking'}`),
    PROGRESS_MILLIS,
  );
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      clearInterval(progress);
      if (status === 0) resolve();
      else reject(new Error(`go build of ${name} failed:\n${told.slice(-10).join('\n')}`));
    });
  });
}

if (import.meta.main) {
  const all = Object.keys(TOOLS) as ToolName[];
  const asked = process.argv.slice(2);
  const names = asked.length === 1 && asked[0] === 'all' ? all : asked;
  const unknown = names.filter((name) => !Object.hasOwn(TOOLS, name));
  if (names.length === 0 || unknown.length > 0) {
    console.error(`tools: expected \`all\` or some of ${all.join(', ')}, got ${unknown.join(', ') || 'nothing'}`);
    process.exit(2);
  }
  for (const name of names) {
    try {
      console.log(await buildTool(name as ToolName));
    } catch (error) {
      // The others can still be of use.
      console.error(`tools: ${name} is not built: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
}
