/**
 * `node scripts/tools.ts alertmanager ...`: the real receivers that tests send to, built from Go's module proxy into the user's cache. The first
 * time takes minutes, afterwards nothing. Prints where each is.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

interface Tool {
  readonly module: string;
  readonly version: string;
  /** The folder of the program in the module. */
  readonly folder: string;
  /** Folders of built web pages, which the module does not have: tests need none, the compiler wants something there. */
  readonly pages?: readonly string[];
  /** What Go's build tags leave out. */
  readonly tags?: string;
}

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
const LOKI = { module: 'github.com/grafana/loki/v3', version: 'v3.7.8' };

export const TOOLS = {
  alertmanager: { ...ALERTMANAGER, folder: 'cmd/alertmanager' },
  amtool: { ...ALERTMANAGER, folder: 'cmd/amtool' },
  prometheus: { ...PROMETHEUS, folder: 'cmd/prometheus' },
  promtool: { ...PROMETHEUS, folder: 'cmd/promtool' },
  loki: { ...LOKI, folder: 'cmd/loki' },
  logcli: { ...LOKI, folder: 'cmd/logcli' },
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
  const { module, version, pages = [] } = tool;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, `${name}-`));
  try {
    console.error(`tools: ${name} ${version}: fetching`);
    const sources = fetchModule(module, version);
    // As a main module of its own, since `go install` takes none that replaces others.
    cpSync(sources, join(work, 'src'), { recursive: true });
    spawnSync('chmod', ['-R', 'u+w', work]); // modules are read-only
    for (const page of pages) placeholder(join(work, 'src', page));
    await compile(name, tool, join(work, 'src'), join(work, name));
    // Whole or not at all: another process may build the same.
    renameSync(join(work, name), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

function fetchModule(module: string, version: string): string {
  const { status, stdout, stderr } = spawnSync('go', ['mod', 'download', '-json', `${module}@${version}`], {
    cwd: cache,
    encoding: 'utf8',
    timeout: 10 * 60_000,
  });
  const { Dir: folder, Error: failure } = JSON.parse(stdout || '{}') as { Dir?: string; Error?: string };
  if (status !== 0 || folder === undefined)
    throw new Error(`go mod download ${module}@${version}: ${failure ?? stderr}`);
  return folder;
}

function placeholder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>no pages</title>');
}

const PROGRESS_MILLIS = 10_000;

/** At the lowest priority: whoever waits for it has other things to do. */
function compile(name: ToolName, { folder, tags = '' }: Tool, cwd: string, output: string): Promise<void> {
  const build = ['go', 'build', '-v', '-trimpath', `-tags=${tags}`, '-ldflags=-s -w', '-o', output, `./${folder}`];
  // Prometheus' workspace names modules that are not part of what the proxy gives.
  const env = { ...process.env, GOWORK: 'off' };
  const child = spawn('nice', ['-n', '19', ...build], { cwd, env, stdio: ['ignore', 'inherit', 'pipe'] });
  let packages = 0;
  let last = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    packages++;
    last = line;
  });
  const progress = setInterval(
    () => console.error(`tools: ${name}: ${packages} packages compiled, now ${last}`),
    PROGRESS_MILLIS,
  );
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      clearInterval(progress);
      if (status === 0) resolve();
      else reject(new Error(`go build of ${name} failed: ${last}`));
    });
  });
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !Object.hasOwn(TOOLS, name));
  if (names.length === 0 || unknown.length > 0) {
    console.error(`tools: expected some of ${Object.keys(TOOLS).join(', ')}, got ${unknown.join(', ') || 'nothing'}`);
    process.exit(2);
  }
  for (const name of names) console.log(await buildTool(name as ToolName));
}
