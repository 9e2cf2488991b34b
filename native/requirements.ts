/** What the probe needs of the kernel and of this process's rights, and what to say when the kernel refuses. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { ShikraError } from '../collector/errors.ts';

/** An error of the addon: `code` is errno's name, `log` what libbpf and the verifier said. */
export interface NativeError extends Error {
  readonly code: string;
  readonly step: string;
  readonly log: string;
}

interface RingOptions {
  readonly ringBytes: number;
  readonly processRingBytes: number;
  readonly cpusPerRing: number;
}

const MIB = 2 ** 20;
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';
const LOCKDOWN_FILE = '/sys/kernel/security/lockdown';
/** PROC_USER_INIT_INO of include/linux/proc_ns.h: the inode of the first user namespace, the only one whose capabilities BPF takes. */
const INITIAL_USER_NAMESPACE = 0xeffffffd;
const CAP_SYS_ADMIN = 21n;
/** Bits of include/uapi/linux/capability.h, and whether CAP_SYS_ADMIN stands for it (capabilities(7)). */
const NEEDED_CAPABILITIES = {
  CAP_BPF: { bit: 39n, implied: true },
  CAP_PERFMON: { bit: 38n, implied: true },
  CAP_SYS_PTRACE: { bit: 19n, implied: false },
  CAP_DAC_READ_SEARCH: { bit: 2n, implied: false },
} as const;

/**
 * Looks before anything is made or loaded, so that what is missing is said in one message. Reads three small files.
 * @throws ShikraError PROBE_NO_BTF, PROBE_LOCKDOWN or PROBE_PRIVILEGE
 */
export function checkRequirements(): void {
  const missing = missingCapabilities(readFileSync('/proc/self/status', 'utf8'));
  if (missing.length > 0) throw new ShikraError('PROBE_PRIVILEGE', `missing ${missing.join(', ')}`);
  if (statSync('/proc/self/ns/user').ino !== INITIAL_USER_NAMESPACE)
    throw new ShikraError(
      'PROBE_PRIVILEGE',
      'the capabilities held count only in a user namespace (rootless container?)',
    );
  if (!existsSync(KERNEL_BTF)) throw new ShikraError('PROBE_NO_BTF', `no file ${KERNEL_BTF}`);
  if (lockdownMode() === 'confidentiality') throw new ShikraError('PROBE_LOCKDOWN', 'mode confidentiality');
}

/**
 * Refuses rings that the agent's cgroup does not hold. The kernel refuses them too, but when it has taken all that there is: what else of the agent asks for memory
 * meanwhile is killed.
 * @throws ShikraError PROBE_RING_MEMORY
 */
export function checkRingMemory({ ringBytes, processRingBytes, cpusPerRing }: RingOptions): void {
  const limit = process.constrainedMemory(); // 0: not known
  const bytes = Math.ceil(cpus().length / cpusPerRing) * (ringBytes + processRingBytes);
  if (limit === 0 || bytes < limit) return;
  const detail = `${bytes / MIB} MiB for all, and the limit of the agent's cgroup is ${Math.floor(limit / MIB)} MiB`;
  throw new ShikraError('PROBE_RING_MEMORY', `no rings of ${ringBytes} and ${processRingBytes} bytes: ${detail}`);
}

/** Makes what the addon threw into a message with a remedy. */
export function explain(error: Error): Error {
  if (error instanceof ShikraError || !('step' in error)) return error;
  const native = error as NativeError;
  // Where securityfs is not mounted, only the verifier tells of lockdown: bpf_probe_read_kernel is unknown to it then.
  if (/(unknown func|cannot use helper) bpf_probe_read_kernel/.test(native.log))
    return new ShikraError('PROBE_LOCKDOWN', 'it forbids reading kernel memory from BPF', { cause: error });
  if (native.step === 'rings' && native.code === 'ENOMEM')
    return new ShikraError('PROBE_RING_MEMORY', native.message, { cause: error });
  // The verifier answers EACCES too; its log tells it from a missing right.
  const refusedByVerifier = /processed \d+ insns/.test(native.log);
  if ((native.code === 'EPERM' || native.code === 'EACCES') && !refusedByVerifier)
    return new ShikraError('PROBE_PRIVILEGE', native.message, { cause: error });
  const lines = native.log.trim().split('\n').slice(-6);
  return new ShikraError('PROBE_LOAD', [native.message, ...lines].join('\n  '), { cause: error });
}

function lockdownMode(): string | undefined {
  try {
    return /\[(\w+)\]/.exec(readFileSync(LOCKDOWN_FILE, 'utf8'))?.[1];
  } catch {
    return undefined; // securityfs is not mounted, or the kernel has no lockdown: nothing to say
  }
}

/** @param status the text of /proc/PID/status */
function missingCapabilities(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: bigint) => ((effective >> bit) & 1n) === 1n;
  return Object.entries(NEEDED_CAPABILITIES)
    .filter(([, { bit, implied }]) => !has(bit) && !(implied && has(CAP_SYS_ADMIN)))
    .map(([name]) => name);
}
