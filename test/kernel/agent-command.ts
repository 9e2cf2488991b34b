import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIMIT_MILLIS = 60_000;

/** A folder of the test's own. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-life-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Detects every open of a file whose name ends so; no other event. */
export function opensOf(suffix: string): string {
  const output =
    'opened %fd.name by %proc.pid %proc.name %proc.exepath %proc.cmdline, child of %proc.ppid %proc.pname %proc.pexepath';
  const condition = `evt.type in (open, openat, openat2) and fd.name endswith ${suffix}`;
  return JSON.stringify([
    { rule: 'Marked file opened', desc: 'A test.', condition, output, priority: 'WARNING', tags: ['test'] },
  ]);
}

export interface Configuration {
  readonly rules: string;
  readonly kernel?: object;
  readonly exporters?: object;
  readonly store?: string;
}

/** Writes rules and a configuration with stdout and a free port for metrics. @returns its path */
export function configure(
  folder: string,
  { rules, kernel = {}, exporters = {}, store = join(folder, 'store.db') }: Configuration,
): string {
  writeFileSync(join(folder, 'rules.yaml'), rules);
  const configuration = {
    receivers: { kernel: { rules_files: ['rules.yaml'], ...kernel } },
    exporters: { stdout: { format: 'json' }, prometheus: { port: 0 }, ...exporters },
    service: { store: { path: store } },
  };
  const file = join(folder, 'config.yaml');
  writeFileSync(file, JSON.stringify(configuration));
  return file;
}

export interface CommandOptions {
  /** Stands before `node`: a command that changes rights or namespaces, then runs what follows it. */
  readonly prefix?: readonly string[];
  readonly node?: string;
  readonly nodeOptions?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** `shikra ...` in a process of its own, as a user types it. For what AgentProcess does not do: starts that fail, other rights, a kill. */
export class Command {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #closed: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #waiting = new Set<() => void>();

  constructor(t: TestContext, parameters: readonly string[], options: CommandOptions = {}) {
    const { prefix = [], node = process.execPath, nodeOptions = [], environment = {} } = options;
    const [program, ...rest] = [...prefix, node, ...nodeOptions, join(ROOT, 'cli/main.ts'), ...parameters];
    this.child = spawn(program!, rest, {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    this.child.stdout!.setEncoding('utf8').on('data', (text) => this.#heard(() => (this.stdout += text)));
    this.child.stderr!.setEncoding('utf8').on('data', (text) => this.#heard(() => (this.stderr += text)));
    this.child.on('close', () => this.#heard(() => {}));
    t.after(async () => {
      this.child.kill('SIGKILL');
      await this.#closed;
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The detections on standard output so far. */
  get detections(): {
    rule: string;
    uuid: string;
    time: string;
    output: string;
    output_fields: Record<string, unknown>;
  }[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** Looks again after each output, until it holds. */
  until(what: string, holds: () => boolean, limitMillis = LIMIT_MILLIS): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        end();
      };
      const fail = (why: string) =>
        settle(() => reject(new Error(`expected ${what}: ${why}\n${this.stderr}\n${this.stdout.slice(-2000)}`)));
      const look = () => {
        if (holds()) settle(resolve);
        else if (this.child.exitCode !== null || this.child.signalCode !== null) fail('it ended');
      };
      const timer = setTimeout(() => fail(`not within ${limitMillis} ms`), limitMillis);
      this.#waiting.add(look);
      look();
    });
  }

  async ready(): Promise<this> {
    await this.until('it to watch', () => this.stderr.includes('watching system calls'));
    return this;
  }

  /** A sample of /metrics, e.g. `shikra_events_total{type="openat"}`. */
  async metric(name: string): Promise<number> {
    const [, url] = [...this.stderr.matchAll(/"url":"(http[^"]*\/metrics)"/g)].at(-1)!;
    const page = await (await fetch(url!)).text();
    const line = page.split('\n').find((text) => text.startsWith(`${name} `));
    if (line === undefined) throw new Error(`no metric ${name}`);
    return Number(line.slice(name.length));
  }

  /** Asks for a metric, each time anew, until it holds. */
  async metricUntil(name: string, holds: (value: number) => boolean): Promise<number> {
    const end = Date.now() + LIMIT_MILLIS;
    for (;;) {
      const value = await this.metric(name);
      if (holds(value)) return value;
      if (Date.now() > end) throw new Error(`${name} stayed at ${value}\n${this.stderr}`);
    }
  }

  /** @returns the exit code, or the signal that ended it */
  async ended(): Promise<number | NodeJS.Signals | null> {
    const [code, signal] = await this.#closed;
    return code ?? signal;
  }

  #heard(take: () => void): void {
    take();
    for (const look of [...this.#waiting]) look();
  }
}

/** Ids of the BPF links that a process holds. Shikra pins none: one that no process holds is gone. */
export function heldLinks(pid: number | 'self'): number[] {
  return held(pid, 'link_id');
}

function held(pid: number | 'self', key: string): number[] {
  const ids = new Set<number>();
  for (const fd of list(`/proc/${pid}/fdinfo`)) {
    const text = read(`/proc/${pid}/fdinfo/${fd}`);
    const id = new RegExp(`^${key}:\\s*(\\d+)$`, 'm').exec(text)?.[1];
    if (id !== undefined) ids.add(Number(id));
  }
  return [...ids].sort((a, b) => a - b);
}

/** Those of these BPF links that still are anywhere: in a process, or pinned. */
export function remainingLinks(links: readonly number[]): number[] {
  // The kernel's own two are in every BPF file system that is mounted.
  if (list('/sys/fs/bpf').some((name) => !['maps.debug', 'progs.debug'].includes(name)))
    throw new Error('something is pinned in /sys/fs/bpf: this test cannot tell whose it is');
  const pids = list('/proc').filter((name) => /^\d+$/.test(name));
  const all = new Set(pids.flatMap((pid) => heldLinks(Number(pid))));
  return links.filter((link) => all.has(link));
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // the process has ended
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Where `node` can be reached by a user who may not look into root's folder: mounted there by {@link asUser}. */
const SHARED_NODE = dirname(dirname(process.execPath));
export const NEEDED_CAPABILITIES = ['bpf', 'perfmon', 'sys_ptrace', 'dac_read_search'] as const;
const NOBODY = 65_534;

/** Runs what follows as a user without any right but these capabilities. @param folder the user's own, where `node` is mounted too */
export function asUser(
  folder: string,
  capabilities: readonly string[] = [],
): CommandOptions & { readonly prefix: readonly string[] } {
  const held = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const mount = `mkdir -p ${folder}/node && mount --bind ${SHARED_NODE} ${folder}/node && chown ${NOBODY} ${folder} && exec "$0" "$@"`;
  const rights = [
    'setpriv',
    '--reuid',
    `${NOBODY}`,
    '--regid',
    `${NOBODY}`,
    '--clear-groups',
    '--inh-caps',
    held,
    '--ambient-caps',
    held,
    '--bounding-set',
    held,
  ];
  return {
    prefix: ['unshare', '-m', 'sh', '-c', mount, ...rights],
    node: `${folder}/node/bin/node`,
    environment: { HOME: folder },
  };
}
