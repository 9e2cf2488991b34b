import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { absent, type Check, notOk, ok } from './check.ts';

const OLDEST_KERNEL = [5, 18] as const;
const BTF = '/sys/kernel/btf/vmlinux';

/** Bit numbers as in linux/capability.h, and what each is for. */
const CAPABILITIES = {
  CAP_DAC_READ_SEARCH: { bit: 2, purpose: 'reading what other users run', implied: false },
  CAP_SYS_PTRACE: { bit: 19, purpose: 'reading /proc/PID of other users', implied: false },
  CAP_PERFMON: { bit: 38, purpose: 'attaching to tracepoints', implied: true },
  CAP_BPF: { bit: 39, purpose: 'loading programs', implied: true },
} as const;
const CAP_SYS_ADMIN = 21;

/** The kernel and the rights of this process. */
export function checkHost(): Check[] {
  return [
    checkKernel(release()),
    checkBtf(existsSync(BTF)),
    checkLockdown(read('/sys/kernel/security/lockdown')),
    ...checkCapabilities(read('/proc/self/status') ?? ''),
    checkCgroup(existsSync('/sys/fs/cgroup/cgroup.controllers'), existsSync('/sys/fs/cgroup/unified')),
  ];
}

export function checkKernel(kernel: string): Check {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  const [oldestMajor, oldestMinor] = OLDEST_KERNEL;
  const isNewEnough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  if (isNewEnough) return ok('kernel', kernel);
  return notOk(
    'kernel',
    kernel,
    `use ${OLDEST_KERNEL.join('.')} or newer: older ones cannot walk a path of any depth (bpf_loop) nor read the arguments of running processes (bpf_copy_from_user_task)`,
  );
}

export function checkBtf(isThere: boolean): Check {
  if (isThere) return ok('type information', BTF);
  return notOk('type information', `${BTF} is missing`, 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y');
}

/** @param text such as `none [integrity] confidentiality`; undefined where the kernel has no lockdown */
export function checkLockdown(text: string | undefined): Check {
  const mode = text === undefined ? 'none' : (/\[(\w+)\]/.exec(text)?.[1] ?? 'none');
  if (mode !== 'confidentiality') return ok('lockdown', mode);
  return notOk(
    'lockdown',
    mode,
    'boot with lockdown=integrity or none: this mode forbids reading kernel memory from BPF',
  );
}

/** @param status the text of /proc/PID/status */
export function checkCapabilities(status: string): Check[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: number) => ((effective >> BigInt(bit)) & 1n) === 1n;
  return Object.entries(CAPABILITIES).map(([name, { bit, purpose, implied }]) => {
    if (has(bit)) return ok(name, purpose);
    // capabilities(7): CAP_SYS_ADMIN still allows what CAP_BPF and CAP_PERFMON were split off from it.
    if (implied && has(CAP_SYS_ADMIN)) return ok(name, `${purpose} (by CAP_SYS_ADMIN)`);
    return notOk(name, `not held; for ${purpose}`, `run as root, or grant ${name}`);
  });
}

export function checkCgroup(isUnified: boolean, isHybrid: boolean): Check {
  if (isUnified) return ok('cgroup', 'version 2');
  const detail = isHybrid ? 'version 1 with a version 2 tree beside it' : 'version 1';
  return absent('cgroup', detail, 'boot with systemd.unified_cgroup_hierarchy=1 if containers are not recognised');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Not there, or not for us: the checks know what that means.
    return undefined;
  }
}
