import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects the garbage of this thread, which then stands still for some ten milliseconds. For once, when it is known that most of what there is will not be
 * needed again: V8 waits until there is as much again as it found alive the last time.
 * @param thorough gives back the room of young objects, too, which a start has let grow: several times as long
 */
export function collectGarbage({ thorough = false } = {}): void {
  setFlagsFromString('--expose-gc'); // of contexts that are made from now on
  const collect = runInNewContext('gc') as (options: { type: string; flavor: string }) => void;
  collect({ type: 'major', flavor: thorough ? 'last-resort' : 'regular' });
}
