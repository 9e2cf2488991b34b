import { type ChildProcess, spawn } from 'node:child_process';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import { readRuleFiles } from '../../rules/files.ts';
import type { CheckedRule } from '../../rules/runtime.ts';
import { userCacheFolder } from '../user-cache.ts';
import type { RulesRequest } from './load-rules.ts';
import { cacheKey, RulesCache } from './rules-cache.ts';
import type { PortableRule, ReadRules } from './rules-worker.ts';

const WORKER = fileURLToPath(
  new URL(`./rules-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);
/** Rule files that need more are refused. */
const MOST_HEAP_MIB = 768;

/** A reading of rules that goes on aside. */
export interface RulesReading {
  /** For {@link decodeRules}. Never rejects: what went wrong is one of the errors. Can be transferred to another thread. */
  readonly bytes: Promise<Uint8Array<ArrayBuffer>>;
  /** Nobody waits for it any more. */
  cancel(): void;
}

/**
 * Has rules read: found in the cache if they were read before, else by a process of its own, which takes the parser and its garbage away when it ends, and
 * alone suffers from files that nothing could read.
 * @returns when it is found, or the process started: the caller may then keep its thread busy
 */
export async function readRulesAside(request: RulesRequest): Promise<RulesReading> {
  const { files, problems } = await readRuleFiles(request.rulesFiles);
  const found = problems.length === 0 ? await new RulesCache().get(cacheKey(request, files)) : undefined;
  if (found !== undefined) return { bytes: Promise.resolve(new Uint8Array(found)), cancel: () => {} };
  const worker = spawn(process.execPath, [`--max-old-space-size=${MOST_HEAP_MIB}`, WORKER], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || userCacheFolder('compile-cache') },
  });
  worker.stdin.on('error', () => {}); // it has ended: its exit says why
  worker.stdin.end(JSON.stringify(request));
  return { bytes: outcome(worker), cancel: () => void worker.kill('SIGKILL') };
}

/** @throws Error if they are not what this version writes */
export function decodeRules(bytes: Uint8Array): ReadRules {
  return deserialize(bytes) as ReadRules;
}

/** The rules of a reading, in steps of about a millisecond. The place of a rule in its file is not among what came: messages were written there. */
export function* rulesInSteps({ batches }: Extract<ReadRules, { ok: true }>): Generator<undefined, CheckedRule[]> {
  const rules: PortableRule[] = [];
  for (const batch of batches) {
    rules.push(...(deserialize(batch) as PortableRule[]));
    yield;
  }
  return rules as unknown[] as CheckedRule[];
}

/** The same at once. */
export function rulesOf(read: Extract<ReadRules, { ok: true }>): CheckedRule[] {
  const steps = rulesInSteps(read);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

async function outcome(worker: ChildProcess): Promise<Uint8Array<ArrayBuffer>> {
  const ended = new Promise<string | undefined>((resolve) => {
    worker.once('error', ({ message }) => resolve(`the process that reads them could not be started: ${message}`));
    worker.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : `the process that reads them ended with ${signal ?? `code ${code}`}`),
    );
  });
  const [bytes, complaint, failure] = await Promise.all([buffer(worker.stdout!), text(worker.stderr!), ended]);
  if (failure === undefined) return new Uint8Array(bytes);
  const lines = complaint.trim().split('\n');
  const why = lines.find((line) => /error:/i.test(line)) ?? lines.at(-1); // of all that Node prints when it dies
  const errors = [`the rules could not be loaded: ${failure}${why === '' ? '' : `: ${why}`}`];
  return new Uint8Array(serialize({ ok: false, errors } satisfies ReadRules));
}
