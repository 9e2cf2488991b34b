import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MILLIS = 30_000;
const POLL_MILLIS = 20;

/** Why an engine cannot run here, for a test's `skip`; false if it can. */
export function noEngine(...programs: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'container engines need root';
  const missing = ['busybox', 'runc', ...programs].filter((name) => spawnSync(name, ['--version']).error !== undefined);
  return missing.length === 0 ? false : `no ${missing.join(', ')}`;
}

/** A daemon of a container engine with a folder of its own, for one test file. */
export class EngineProcess {
  readonly folder: string;
  readonly #program: string;
  readonly #parameters: (folder: string) => readonly string[];
  readonly #isReady: () => boolean;
  #child: ChildProcess | undefined;
  readonly #killWithUs = () => this.#child?.kill('SIGKILL');

  /** @param isReady asked again and again after the start */
  constructor(
    name: string,
    program: string,
    parameters: (folder: string) => readonly string[],
    isReady: () => boolean,
  ) {
    this.folder = mkdtempSync(join(tmpdir(), `shikra-${name}-`));
    this.#program = program;
    this.#parameters = parameters;
    this.#isReady = isReady;
    process.once('exit', this.#killWithUs);
  }

  async start(): Promise<void> {
    const log = openSync(join(this.folder, 'log'), 'a');
    this.#child = spawn(this.#program, this.#parameters(this.folder), { stdio: ['ignore', log, log] });
    const end = Date.now() + READY_MILLIS;
    while (!this.#isReady()) {
      if (this.#child.exitCode !== null || Date.now() > end) throw new Error(`${this.#program}:\n${this.#log()}`);
      await sleep(POLL_MILLIS);
    }
  }

  /** Stands still, with its sockets open. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGCONT');
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Ends it, and removes what it made. */
  async close(): Promise<void> {
    await this.stop();
    process.off('exit', this.#killWithUs);
    killThoseOf(this.folder);
    unmountBelow(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  #log(): string {
    const file = join(this.folder, 'log');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-10).join('\n') : '';
  }
}

/** What an engine that was killed left running: shims have its address on their command line. */
function killThoseOf(folder: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it has ended
    }
  }
}

function unmountBelow(folder: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const below = mounts.map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${folder}/`));
  for (const path of below.reverse()) spawnSync('umount', ['--lazy', path]);
}
