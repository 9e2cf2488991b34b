import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Config, kernelReceiver } from '../../collector/config/config.ts';
import { ringSizes } from '../../collector/sources/kernel/ring-sizes.ts';
import { type Check, notOk, ok } from './check.ts';

/** The share of the free memory that rings may take before it is a mistake. */
const LARGEST_SHARE = 0.25;
const MIB = 1024 * 1024;

/** The memory that the rings of a configuration take. */
export function checkRings(config: Config, cpus = availableParallelism(), freeMib = availableMib()): Check[] {
  const kernel = kernelReceiver(config);
  if (kernel === undefined) return [];
  const rings = kernel.cpus_per_ring === 0 ? 1 : Math.ceil(cpus / kernel.cpus_per_ring);
  const { calls, processes } = ringSizes(kernel.ring_preset);
  const sizes = `${calls / MIB} MiB and ${processes / MIB} MiB`;
  const detail = `${rings} of ${sizes} (preset ${kernel.ring_preset}) for ${cpus} CPUs, ${freeMib} MiB of memory free`;
  if ((rings * (calls + processes)) / MIB <= freeMib * LARGEST_SHARE) return [ok('rings', detail)];
  return [notOk('rings', detail, 'set a smaller receivers.kernel.ring_preset or a larger cpus_per_ring')];
}

function availableMib(): number {
  const kib = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Math.floor(Number(kib ?? 0) / 1024);
}
