/** The collector's thread: its first message in is `stop`, `stats` or `taken`; what it says itself is {@link FromCollector}. */
import { parentPort, workerData } from 'node:worker_threads';
import { ShikraError } from '../errors.ts';
import { Collector } from './collector.ts';
import type { CollectorOptions, FromCollector, ToCollector } from './messages.ts';

const port = parentPort!;
const send = (message: FromCollector): void => port.postMessage(message);

try {
  const collector = await Collector.start(workerData as CollectorOptions, send);
  port.on('message', (message: ToCollector) => {
    if (message.type === 'taken') collector.taken(message.count);
    else if (message.type === 'stats') collector.sendStats();
    else {
      collector.stop();
      port.close();
    }
  });
} catch (error) {
  if (!(error instanceof ShikraError)) throw error;
  send({ type: 'failed', code: error.code, detail: error.detail });
}
