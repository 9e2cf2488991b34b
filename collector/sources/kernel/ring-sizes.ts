const MIB = 1024 * 1024;
/**
 * The ring for processes is this part of the one for system calls, and at least 256 KiB: some two hundred processes from their start to their end.
 * A record takes 32 KiB at most.
 */
const PROCESS_RING_PART = 8;
const LEAST_PROCESS_RING_BYTES = MIB / 4;

export interface RingSizes {
  readonly calls: number;
  readonly processes: number;
}

/** Bytes of each ring of a preset. */
export function ringSizes(preset: number): RingSizes {
  const calls = 2 ** (preset - 1) * MIB;
  return { calls, processes: Math.max(calls / PROCESS_RING_PART, LEAST_PROCESS_RING_BYTES) };
}
