import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { builtTool, TOOLS, type ToolName, toolPath } from '../../scripts/tools.ts';

const LIMIT_MILLIS = 45_000;
const POLL_MILLIS = 100;

/** Why these cannot run here, for a test's `skip`; false if they can. */
export function without(...names: readonly ToolName[]): string | false {
  if (process.getuid?.() !== 0) return 'the agent needs root';
  const missing = names.filter((name) => builtTool(name) === undefined);
  return missing.length === 0 ? false : `not built: ${missing.join(', ')}; \`npm run test:stack\` builds them`;
}

/** A folder of the test's own. It goes with the process, when all that writes into it has been ended. */
export function stackFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-stack-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

export interface ProgramSettings {
  readonly tool: ToolName;
  readonly parameters: readonly string[];
  /** Its log goes there. */
  readonly folder: string;
  /** Answers 200 as soon as the program works. */
  readonly readyUrl: string;
}

/** A real receiver in a process of its own. It can be stopped and started again with what it has on disk. */
export class Program {
  readonly #settings: ProgramSettings;
  readonly #logFile: string;
  #child: ChildProcess | undefined;

  private constructor(settings: ProgramSettings) {
    this.#settings = settings;
    this.#logFile = join(settings.folder, `${settings.tool}.log`);
  }

  /** Resolves when it is ready. It ends with the test. */
  static async start(t: TestContext, settings: ProgramSettings): Promise<Program> {
    const program = new Program(settings);
    t.after(() => program.stop('SIGKILL'));
    await program.start();
    return program;
  }

  async start(): Promise<void> {
    const { tool, parameters, readyUrl } = this.#settings;
    const log = openSync(this.#logFile, 'a');
    // A test that takes too long is killed, and has no time to end what it started.
    const command = ['--pdeathsig', 'KILL', toolPath(tool), ...parameters];
    const child = spawn('setpriv', command, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    await until(`${tool} ${TOOLS[tool].version} to be ready`, async () => {
      if (child.exitCode !== null) throw new Error(`${tool} ended:\n${this.log.slice(-4000)}`);
      return (await fetch(readyUrl).catch(() => undefined))?.ok === true;
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.log.slice(-4000)}`);
    });
  }

  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }
}

/** Asks again until it holds, or is there. Throws with what it was waiting for. */
export async function until<Found>(
  what: string,
  find: () => Promise<Found> | Found,
): Promise<Exclude<Found, false | undefined>> {
  for (const end = Date.now() + LIMIT_MILLIS; ; await sleep(POLL_MILLIS)) {
    const found = await find();
    if (found !== false && found !== undefined) return found as Exclude<Found, false | undefined>;
    if (Date.now() > end) throw new Error(`expected ${what}: not within ${LIMIT_MILLIS / 1000} s`);
  }
}

/** Runs a built tool to its end. @returns what it prints */
export function runTool(tool: ToolName, ...parameters: readonly string[]): string {
  const options = { encoding: 'utf8', timeout: LIMIT_MILLIS, maxBuffer: 1 << 26 } as const;
  const { status, stdout, stderr } = spawnSync(toolPath(tool), parameters, options);
  if (status === 0) return stdout;
  throw new Error(`${tool} ${parameters.join(' ')}: ${stdout}${stderr}`);
}

export async function getJson<Answer>(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const response = await fetch(url, { headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} for ${decodeURIComponent(url)}: ${text}`);
  return JSON.parse(text) as Answer;
}
