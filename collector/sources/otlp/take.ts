import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ReceiverSink } from '../receiver.ts';
import type { ReceivedGroup } from './request.ts';
import { originOf, restore } from './restore.ts';

/** What became of a request. `unavailable`: it is not on disk and should be sent again. */
export type Taken = 'unavailable' | { readonly rejected: number; readonly message: string };

/** Work without a break for others in this thread. */
const SLICE_MILLIS = 5;
/** So many detections at most wait in memory for the disk. */
const BETWEEN_WRITES = 500;
/** Kinds of mistakes that an answer names. */
const MOST_REASONS = 5;

/** Sends every detection of a request on its way, and waits until they are on disk. What is no detection is told and counted. */
export async function take(groups: readonly ReceivedGroup[], sender: string, sink: ReceiverSink): Promise<Taken> {
  const reasons = new Map<string, number>();
  let accepted = 0;
  let sliceStarted = performance.now();
  for (const group of groups) {
    const origin = originOf(group);
    for (const record of group.records) {
      const restored = restore(record, group, origin);
      if ('outcome' in restored) {
        sink.count(restored.outcome);
        sink.tell(sender, restored.message);
        reasons.set(restored.message, (reasons.get(restored.message) ?? 0) + 1);
      } else {
        if (!sink.emit(restored.detection, restored.foreign)) return unavailable(sink);
        accepted++;
        if (accepted % BETWEEN_WRITES === 0 && !(await sink.stored())) return unavailable(sink);
      }
      if (performance.now() - sliceStarted < SLICE_MILLIS) continue;
      await nextTurn();
      sliceStarted = performance.now();
    }
  }
  if (accepted > 0 && !(await sink.stored())) return unavailable(sink);
  sink.count('accepted', accepted);
  const rejected = [...reasons.values()].reduce((sum, count) => sum + count, 0);
  const named = [...reasons].slice(0, MOST_REASONS).map(([reason, count]) => `${count} x ${reason}`);
  return { rejected, message: named.join('; ') };
}

function unavailable(sink: ReceiverSink): 'unavailable' {
  sink.count('unavailable');
  return 'unavailable';
}
