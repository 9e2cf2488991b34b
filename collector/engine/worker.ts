/** The collector's thread: waits for `begin`, then for `taken`, `stats`, `adopt` and `stop`; what it says itself is {@link FromCollector}. */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { ShikraError } from '../errors.ts';
import { Probe } from '../sources/kernel/probe.ts';
import type { Collector as CollectorType } from './collector.ts';
import type { CollectorOptions, FromCollector, ToCollector } from './messages.ts';

// First thing: the kernel takes longest, and needs to know nothing of the configuration.
const loading = Probe.load();
loading.catch(() => {}); // begin() tells
const { Collector } = await import('./collector.ts');

preferThisThread();

const port = parentPort!;
const send = (message: FromCollector): void => port.postMessage(message);
let collector: CollectorType | undefined;

async function begin(options: CollectorOptions): Promise<void> {
  try {
    collector = await Collector.start(options, loading, send);
  } catch (error) {
    if (!(error instanceof ShikraError)) throw error;
    send({ type: 'failed', code: error.code, detail: error.detail });
  }
}

port.on('message', (message: ToCollector) => {
  switch (message.type) {
    case 'begin':
      void begin(message.options);
      break;
    case 'taken':
      collector?.taken(message.count);
      break;
    case 'stats':
      collector?.sendStats();
      break;
    case 'container':
      collector?.hear(message.news);
      break;
    case 'adopt':
      void collector?.adopt(message.rules);
      break;
    case 'stop':
      void collector?.stop(message.limitMillis).then(() => port.close());
  }
});

/**
 * What waits in the rings cannot wait until everybody else had their turn: on a machine with more work than processors the rings would overflow. Of this
 * thread alone, and of those that it starts. It wants CAP_SYS_NICE, which the agent does not insist on.
 */
function preferThisThread(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // as one among others, then
  }
}
