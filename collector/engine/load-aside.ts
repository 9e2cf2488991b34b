import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { RulesRequest } from './load-rules.ts';
import type { ReadRules } from './rules-worker.ts';

/** Rule files that need more are refused. */
const MOST_HEAP_MIB = 768;

/**
 * A thread that reads rules once, and ends. It loads its code as soon as it is made: made before there is something to read, it is ready by then.
 */
export interface RulesThread {
  /** Where what was read arrives. */
  readonly port: MessagePort;
  /** Settles if the thread dies before it has sent anything. */
  readonly failed: Promise<Extract<ReadRules, { ok: false }>>;
  /** Has it read. Once. */
  read(request: RulesRequest): void;
  terminate(): Promise<unknown>;
}

export function startRulesThread(): RulesThread {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./rules-worker.ts', import.meta.url), {
    name: 'rules',
    resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MIB },
  });
  const failed = new Promise<Extract<ReadRules, { ok: false }>>((resolve) => {
    worker.once('error', (error) =>
      resolve({ ok: false, errors: [`the rules could not be loaded: ${(error as Error).message}`] }),
    );
  });
  return {
    port: port2,
    failed,
    read: (request) => worker.postMessage({ request, port: port1 }, [port1]),
    terminate: () => worker.terminate(),
  };
}

/** What a thread reads. It has ended then. */
export async function readRulesIn(thread: RulesThread, request: RulesRequest): Promise<ReadRules> {
  const read = new Promise<ReadRules>((resolve) => thread.port.once('message', resolve));
  thread.read(request);
  try {
    return await Promise.race([read, thread.failed]);
  } finally {
    thread.port.close();
    await thread.terminate();
  }
}
