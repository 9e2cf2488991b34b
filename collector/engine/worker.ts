/** The collector's thread: waits for `begin`, then for `taken`, `stats`, `adopt` and `stop`; what it says itself is {@link FromCollector}. */
import { parentPort } from 'node:worker_threads';
import { ShikraError } from '../errors.ts';
import { Collector } from './collector.ts';
import type { CollectorOptions, FromCollector, ToCollector } from './messages.ts';
import type { ReadRules } from './rules-worker.ts';

const port = parentPort!;
const send = (message: FromCollector): void => port.postMessage(message);
let collector: Collector | undefined;

async function begin(options: CollectorOptions): Promise<void> {
  try {
    collector = await Collector.start(options, send);
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
    case 'adopt':
      message.port.once('message', (rules: ReadRules) => {
        message.port.close();
        void collector?.adopt(rules);
      });
      break;
    case 'stop':
      void collector?.stop(message.limitMillis).then(() => port.close());
  }
});
