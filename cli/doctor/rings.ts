import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Config, kernelReceiver } from '../../collector/config/config.ts';
import { type Check, notOk, ok } from './check.ts';

/** The share of the free memory that rings may take before it is a mistake. */
const LARGEST_SHARE = 0.25;

/** The memory that the rings of a configuration take. */
export function checkRings(config: Config, cpus = availableParallelism(), freeMib = availableMib()): Check[] {
  const kernel = kernelReceiver(config);
  if (kernel === undefined) return [];
  const rings = kernel.cpus_per_ring === 0 ? 1 : Math.ceil(cpus / kernel.cpus_per_ring);
  const ringMib = 2 ** (kernel.ring_preset - 1);
  const detail = `${rings} of ${ringMib} MiB (preset ${kernel.ring_preset}) for ${cpus} CPUs, ${freeMib} MiB of memory free`;
  if (rings * ringMib <= freeMib * LARGEST_SHARE) return [ok('rings', detail)];
  return [notOk('rings', detail, 'set a smaller receivers.kernel.ring_preset or a larger cpus_per_ring')];
}

function availableMib(): number {
  const kib = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Math.floor(Number(kib ?? 0) / 1024);
}
