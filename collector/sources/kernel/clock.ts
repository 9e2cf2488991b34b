import { clockOffsetNs } from '../../../native/index.ts';

/** Turns kernel times (CLOCK_BOOTTIME) into wall clock; asks for the difference once a second, as the wall clock may be set. */
export class KernelClock {
  #offsetNs = clockOffsetNs();

  refresh(): void {
    this.#offsetNs = clockOffsetNs();
  }

  /** From the kernel's time to the wall clock, as of the last refresh. */
  get offsetNs(): bigint {
    return this.#offsetNs;
  }

  /** Nanoseconds since 1970. */
  wallNs(kernelNs: number): bigint {
    return BigInt(kernelNs) + this.#offsetNs;
  }

  /** Now, in the kernel's time. */
  nowNs(): number {
    return Number(BigInt(Date.now()) * 1_000_000n - this.#offsetNs);
  }
}
