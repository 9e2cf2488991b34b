import { existsSync } from 'node:fs';
import type { FieldValue } from '../../../collector/detection/detection.ts';
import { groupName, type ProcessTruth, userName } from './process-truth.ts';

/** A process that has opened a file and is still there, and a time after that, in nanoseconds since 1970. */
export interface Staged {
  readonly process: ProcessTruth;
  readonly toNs: bigint;
}

type Value = FieldValue | undefined;
type Look = (staged: Staged) => Value;
type Test = (value: Value, staged: Staged) => boolean;

const own =
  (look: (process: ProcessTruth) => Value): Look =>
  ({ process }) =>
    look(process);
const args = ({ argv }: ProcessTruth) => argv.slice(1).join(' ');
const cmdline = (process: ProcessTruth) => `${process.comm} ${args(process)}`.trimEnd();
const slashed = (folder: string) => (folder === '/' ? folder : `${folder}/`);
const last = (columns: readonly string[]) => Number(columns.at(-1));
const leader = ({ process }: Staged) => {
  const { session } = process;
  return [process, ...process.ancestors].find(({ pid }) => pid === session);
};

/** Every field of a process, as /proc has it while the process is there. */
export const PROCESS_FIELDS: Readonly<Record<string, Look>> = {
  'proc.pid': own(({ pid }) => pid),
  'proc.ppid': own(({ ppid }) => ppid),
  'proc.vpid': own((process) => last(process.status('NSpid'))),
  'proc.pvpid': own((process) => last(process.parent.status('NSpid'))),
  'shikra.proc.is_host_program': () => true,
  'proc.sid': own((process) => last(process.status('NSsid'))),
  'proc.pgid': own((process) => last(process.status('NSpgid'))),
  'proc.vpgid': own((process) => last(process.status('NSpgid'))),
  'proc.is_vpgid_leader': own(({ pid, group }) => pid === group),
  'proc.is_pgid_leader': own(({ pid, group }) => pid === group),
  'proc.is_sid_leader': own(({ pid, session }) => pid === session),
  'proc.name': own(({ comm }) => comm),
  'proc.exe': own(({ argv }) => argv[0]),
  'proc.exepath': own(({ exe }) => exe),
  'proc.args': own(args),
  'proc.args[0]': own(({ argv }) => argv[1]),
  'proc.args[9]': () => undefined,
  'proc.cmdline': own(cmdline),
  'proc.exeline': own(({ argv }) => argv.join(' ')),
  'proc.cmdnargs': own(({ argv }) => argv.length - 1),
  'proc.cmdlenargs': own(({ argv }) => argv.slice(1).join('').length),
  'proc.cwd': own(({ cwd }) => slashed(cwd)),
  'proc.env': () => 'SHIKRA_TEST=staged',
  'proc.env[SHIKRA_TEST]': () => 'staged',
  'proc.env[PATH]': () => undefined,
  'proc.tty': own(({ tty }) => tty),
  'proc.pname': own(({ parent }) => parent.comm),
  'proc.pexe': own(({ parent }) => parent.argv[0]),
  'proc.pexepath': own(({ parent }) => parent.exe),
  'proc.pcmdline': own(({ parent }) => cmdline(parent)),
  'proc.aname': own(({ ancestors }) => ancestors.map(({ comm }) => comm)),
  'proc.aname[0]': own(({ comm }) => comm),
  'proc.aname[1]': own(({ ancestors }) => ancestors[0]!.comm),
  'proc.aname[2]': own(({ ancestors }) => ancestors[1]!.comm),
  'proc.aname[99]': () => undefined,
  'proc.aexe[2]': own(({ ancestors }) => ancestors[1]!.argv[0]),
  'proc.aexepath[2]': own(({ ancestors }) => ancestors[1]!.exe),
  'proc.acmdline[1]': own(({ ancestors }) => cmdline(ancestors[0]!)),
  'proc.aargs[1]': own(({ ancestors }) => args(ancestors[0]!)),
  'proc.apid[2]': own(({ ancestors }) => String(ancestors[1]!.pid)),
  'proc.sname': (staged) => leader(staged)?.comm,
  'proc.sid.exe': (staged) => leader(staged)?.argv[0],
  'proc.sid.exepath': (staged) => leader(staged)?.exe,
  // the test's overlay has a folder of each name
  'proc.is_exe_upper_layer': own(
    ({ exe }) => exe.includes('/merged/') && existsSync(exe.replace('/merged/', '/upper/')),
  ),
  'proc.is_exe_from_memfd': own(({ exe }) => exe.startsWith('memfd:')),
  'proc.exe_ino': own(({ file }) => file.ino),
  'proc.exe_ino.ctime': own(({ file }) => file.ctimeNs),
  'proc.exe_ino.mtime': own(({ file }) => file.mtimeNs),
  'proc.stdin.type': own((process) => process.streamType(0)),
  'proc.stdout.type': own((process) => process.streamType(1)),
  'proc.stderr.type': own((process) => process.streamType(2)),
  'thread.tid': own(({ pid }) => pid),
  'thread.ismain': () => true,
  'thread.cgroups': own(({ cgroup }) => cgroup),
  'thread.cap_permitted': own((process) => process.capabilities('CapPrm')),
  'thread.cap_effective': own((process) => process.capabilities('CapEff')),
  'thread.cap_inheritable': own((process) => process.capabilities('CapInh')),
  'user.uid': own((process) => Number(process.status('Uid')[1])),
  'user.name': own((process) => userName(Number(process.status('Uid')[1]))),
  'user.loginuid': own(({ loginuid }) => loginuid),
  'user.loginname': own(({ loginuid }) => (loginuid < 0 ? undefined : userName(loginuid))),
  'group.gid': own((process) => Number(process.status('Gid')[1])),
  'group.name': own((process) => groupName(Number(process.status('Gid')[1]))),
};

const TOLERANCE_NS = 50_000_000n;

/** Between the start of a process and now. */
const since =
  (of: (staged: Staged) => ProcessTruth): Test =>
  (value, staged) => {
    const ns = BigInt(value as bigint);
    return of(staged).startedNs - TOLERANCE_NS <= ns && ns <= staged.toNs;
  };
/** The time that a process has been there, which had begun before the event. */
const lasting =
  (of: (staged: Staged) => ProcessTruth): Test =>
  (value, staged) => {
    const ns = BigInt(value as number);
    return ns > 0n && ns <= staged.toNs - of(staged).startedNs + TOLERANCE_NS;
  };
const itself = ({ process }: Staged) => process;
const parent = ({ process }: Staged) => process.parent;

/** Times, which only have limits. */
export const PROCESS_TIMES: Readonly<Record<string, Test>> = {
  'proc.pid.ts': since(itself),
  'proc.ppid.ts': since(parent),
  'proc.duration': lasting(itself),
  'proc.ppid.duration': lasting(parent),
  'proc.exe_ino.ctime_duration_proc_start': (value, staged) =>
    since(itself)(BigInt(value as number) + staged.process.file.ctimeNs, staged),
};
