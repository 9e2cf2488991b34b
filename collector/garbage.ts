import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects the garbage of this thread, which then stands still for some ten milliseconds. For once, when it is known that most of what there is will not be
 * needed again: V8 waits until there is as much again as it found alive the last time.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc'); // of contexts that are made from now on
  (runInNewContext('gc') as () => void)();
}
