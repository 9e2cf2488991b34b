import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { RulesRequest } from './load-rules.ts';
import type { ReadRules } from './rules-worker.ts';

/** Rule files that need more are refused. */
const MOST_HEAP_MIB = 768;

/** A thread that reads rules, and where it sends them. Ends by itself. */
export interface RulesThread {
  readonly port: MessagePort;
  /** Settles if the thread dies before it has sent anything. */
  readonly failed: Promise<Extract<ReadRules, { ok: false }>>;
  terminate(): Promise<unknown>;
}

export function startRulesThread(request: RulesRequest): RulesThread {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./rules-worker.ts', import.meta.url), {
    name: 'rules',
    workerData: { request, port: port1 },
    transferList: [port1],
    resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MIB },
  });
  const failed = new Promise<Extract<ReadRules, { ok: false }>>((resolve) => {
    worker.once('error', (error) =>
      resolve({ ok: false, errors: [`the rules could not be loaded: ${(error as Error).message}`] }),
    );
  });
  return { port: port2, failed, terminate: () => worker.terminate() };
}

/** Reads rules in a thread of their own. */
export async function loadAside(request: RulesRequest): Promise<ReadRules> {
  const thread = startRulesThread(request);
  const read = new Promise<ReadRules>((resolve) => thread.port.once('message', resolve));
  try {
    return await Promise.race([read, thread.failed]);
  } finally {
    thread.port.close();
    await thread.terminate();
  }
}
