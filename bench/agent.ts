import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/fixtures/free-ports.ts';
import { waitUntil } from './child.ts';
import { type Counters, parseCounters } from './counters.ts';
import { SHIKRA } from './programs.ts';
import { type ProcessUsage, processUsage } from './usage.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** That this program opens it is a detection of the default rules: the sign that events arrive. */
const TRIGGER_FILE = '/etc/shadow';
const TRIGGER_INTERVAL_MILLIS = 5;
const READY_LINE = 'watching system calls';

type AgentProcess = ChildProcessByStdio<null, Readable, Readable>;

export interface StartTimes {
  /** From starting the command to the kernel's time of the first event that made a detection. */
  readonly firstEventMillis: number;
  /** From starting the command to that detection's line on standard output. */
  readonly firstDetectionMillis: number;
}

/** A running agent with the default rules. */
export interface Agent {
  readonly startTimes: StartTimes;
  /** What it has seen since its start. The counters follow the kernel by a second. */
  counters(): Promise<Counters>;
  /** What it has used since its start. */
  usage(): ProcessUsage;
  stop(): Promise<void>;
}

/** Starts `shikra run` as the package has it; ready when a first detection came out and it says so. */
export function startAgent(folder: string): Promise<Agent> {
  return start(folder, [SHIKRA, 'run']);
}

/** The same by `npm start`, with all its looking whether there is something to set up. @returns how long it took */
export async function timeNpmStart(folder: string): Promise<StartTimes> {
  const agent = await start(folder, ['npm', 'start', '--']);
  await agent.stop();
  return agent.startTimes;
}

async function start(folder: string, command: readonly string[]): Promise<Agent> {
  const port = await freePort();
  const config = writeConfig(mkdtempSync(join(folder, 'agent-')), port);
  const startedAt = Date.now();
  // A group of its own: npm stands between us and the agent, and the signal that ends it must reach both.
  const child = spawn(command[0]!, [...command.slice(1), '-c', config], {
    cwd: ROOT,
    detached: true,
    env: { ...userVariables(), PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const endWithUs = (): void => void endGroup(child);
  process.once('exit', endWithUs);
  const startTimes = await waitForFirstDetection(child, startedAt);
  return {
    startTimes,
    async counters() {
      const page = await fetch(`http://127.0.0.1:${port}/metrics`);
      return parseCounters(await page.text());
    },
    usage: () => processUsage(child.pid!),
    async stop() {
      process.off('exit', endWithUs);
      const closed = once(child, 'close');
      endGroup(child);
      await closed;
    },
  };
}

async function waitForFirstDetection(child: AgentProcess, startedAt: number): Promise<StartTimes> {
  let errors = '';
  let first: StartTimes | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-10_000);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    first ??= timesOf(text, startedAt);
  });
  const trigger = setInterval(() => readFileSync(TRIGGER_FILE), TRIGGER_INTERVAL_MILLIS);
  try {
    await waitUntil(child, 'the first detection', () => first !== undefined && errors.includes(READY_LINE));
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${errors}`, { cause: error });
  } finally {
    clearInterval(trigger);
  }
  return first!;
}

/** Of the first detection in some output: npm prints lines of its own before. */
function timesOf(output: string, startedAt: number): StartTimes | undefined {
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) return undefined;
  const { time } = JSON.parse(line) as { time: string };
  return { firstEventMillis: Date.parse(time) - startedAt, firstDetectionMillis: Date.now() - startedAt };
}

function writeConfig(folder: string, port: number): string {
  const file = join(folder, 'shikra.yaml');
  writeFileSync(
    file,
    `receivers:
  kernel:
    rules_files: [bundled]
exporters:
  stdout:
    format: json
  prometheus:
    port: ${port}
service:
  store:
    path: shikra.db
`,
  );
  return file;
}

/** Nothing may be sent to a receiver that the caller's environment happens to name, and who installs the package has no cache of this development's. */
function userVariables(): NodeJS.ProcessEnv {
  const isOurs = (name: string) => name.startsWith('OTEL_') || name === 'NODE_COMPILE_CACHE';
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)));
}

function endGroup(child: AgentProcess): void {
  try {
    process.kill(-child.pid!, 'SIGTERM');
  } catch {
    // it has ended by itself: the caller sees that by its output or its exit code
  }
}
