import type { FieldValue } from '../../../detection/detection.ts';
import { EXE_FLAGS, HEADER } from '../layout.ts';
import { capabilities } from '../numbers.ts';
import { ancestor, type Process } from '../process.ts';
import type { ProcessTable } from '../process-table.ts';
import { type ArgumentGetter, type FieldTable, type Getter, plain } from './context.ts';
import { kindName } from './descriptor-fields.ts';

const NO_LOGIN = 0xffffffff;

/** A fact of the event's process; no value if nothing is known of it. */
function own(read: (process: Process) => FieldValue | undefined): ArgumentGetter {
  return plain((event) => (event.process.known ? read(event.process) : undefined));
}

/** A fact of the parent. */
function parent(read: (process: Process) => FieldValue | undefined): ArgumentGetter {
  return plain((event) => (event.process.parent?.known ? read(event.process.parent) : undefined));
}

/** A fact of the n-th ancestor; without an index, of all of them. */
function ancestors(
  read: (process: Process) => string | undefined,
  all?: (table: ProcessTable, process: Process) => readonly string[],
): ArgumentGetter {
  return (argument, context) => {
    if (argument !== undefined) {
      const n = Number(argument);
      return (event) => {
        const found = ancestor(event.process, n);
        return found?.known ? read(found) : undefined;
      };
    }
    if (all !== undefined) return (event) => all(context.table, event.process);
    return (event) => {
      const values: string[] = [];
      for (let at = event.process.parent; at !== undefined; at = at.parent) {
        const value = at.known ? read(at) : undefined;
        if (value !== undefined) values.push(value);
      }
      return values;
    };
  };
}

const executable = (process: Process): string | undefined => process.image.argv[0];
const flag = (name: string): ArgumentGetter => {
  const bit = EXE_FLAGS.get(name)!;
  return own((process) => (process.image.exeFlags & bit) !== 0);
};

function sessionLeader(read: (process: Process) => FieldValue | undefined): Getter {
  return (event) => {
    for (let at: Process | undefined = event.process; at !== undefined; at = at.parent) {
      if (at.vpid === event.process.sessionId && at.pidNamespace === event.process.pidNamespace) return read(at);
    }
    return undefined;
  };
}

function standardStream(index: 0 | 1 | 2): ArgumentGetter {
  return own((process) => kindName(process.image.stdioKinds[index]));
}

function variable(entries: readonly string[], name: string): string | undefined {
  return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

export const PROCESS_FIELDS: FieldTable = {
  'proc.pid': plain((event) => event.u32(HEADER.pid)),
  'proc.ppid': own((process) => process.parentPid),
  'proc.vpid': own((process) => process.vpid),
  'proc.pvpid': own((process) => process.vparentPid),
  'proc.sid': own((process) => process.sessionId),
  'proc.pgid': own((process) => process.processGroupId),
  'proc.vpgid': own((process) => process.processGroupId),
  'proc.is_vpgid_leader': own((process) => process.processGroupId === process.vpid),
  'proc.is_pgid_leader': own((process) => process.processGroupId === process.vpid),
  'proc.is_sid_leader': own((process) => process.sessionId === process.vpid),
  'proc.name': own((process) => process.image.comm),
  'proc.exe': own(executable),
  'proc.exepath': own((process) => process.image.exePath),
  'proc.args': (argument) =>
    argument === undefined
      ? (event) => (event.process.known ? event.process.image.args : undefined)
      : (event) => event.process.image.argv[Number(argument) + 1],
  'proc.cmdline': own((process) => process.image.cmdline),
  'proc.exeline': own((process) => process.image.argv.join(' ')),
  'proc.cmdnargs': own((process) => Math.max(process.image.argv.length - 1, 0)),
  'proc.cmdlenargs': own((process) => process.image.argv.slice(1).reduce((sum, argument) => sum + argument.length, 0)),
  'proc.cwd': own((process) =>
    process.image.cwd === undefined || process.image.cwd === '/' ? process.image.cwd : `${process.image.cwd}/`,
  ),
  'proc.env': (argument) =>
    argument === undefined
      ? (event) => (event.process.known ? event.process.image.env.join(' ') : undefined)
      : (event) => variable(event.process.image.env, argument),
  'proc.tty': own((process) => process.image.tty),
  'proc.pname': parent((process) => process.image.comm),
  'proc.pexe': parent(executable),
  'proc.pexepath': parent((process) => process.image.exePath),
  'proc.pcmdline': parent((process) => process.image.cmdline),
  'proc.aname': ancestors(
    (process) => process.image.comm,
    (table, process) => table.ancestorNames(process),
  ),
  'proc.aexe': ancestors(executable),
  'proc.aexepath': ancestors((process) => process.image.exePath),
  'proc.acmdline': ancestors((process) => process.image.cmdline),
  'proc.aargs': ancestors((process) => process.image.args),
  'proc.apid': ancestors((process) => String(process.pid)),
  'proc.sname': plain(sessionLeader((process) => process.image.comm)),
  'proc.sid.exe': plain(sessionLeader(executable)),
  'proc.sid.exepath': plain(sessionLeader((process) => process.image.exePath)),
  'proc.duration': plain((event) =>
    event.process.known ? event.u64(HEADER.time_ns) - event.process.startTimeNs : undefined,
  ),
  'proc.ppid.duration': plain((event) =>
    event.process.parent?.known ? event.u64(HEADER.time_ns) - event.process.parent.startTimeNs : undefined,
  ),
  'proc.pid.ts': (_argument, context) => (event) => context.clock.wallNs(event.process.execTimeNs),
  'proc.ppid.ts': (_argument, context) => (event) =>
    event.process.parent === undefined ? undefined : context.clock.wallNs(event.process.parent.execTimeNs),
  'proc.is_exe_upper_layer': flag('upper_layer'),
  'proc.is_exe_from_memfd': flag('memfd'),
  'shikra.proc.is_host_program': own((process) => process.origin.isHost),
  'proc.exe_ino': own((process) => process.image.exeIno),
  'proc.exe_ino.ctime': own((process) => process.image.exeCtimeNs),
  'proc.exe_ino.mtime': own((process) => process.image.exeMtimeNs),
  'proc.exe_ino.ctime_duration_proc_start': (_argument, context) => (event) =>
    event.process.known && event.process.image.exeCtimeNs > 0n
      ? Number(context.clock.wallNs(event.process.execTimeNs) - event.process.image.exeCtimeNs)
      : undefined,
  'proc.stdin.type': standardStream(0),
  'proc.stdout.type': standardStream(1),
  'proc.stderr.type': standardStream(2),
  'thread.tid': plain((event) => event.u32(HEADER.tid)),
  'thread.ismain': plain((event) => event.u32(HEADER.tid) === event.u32(HEADER.pid)),
  'thread.cgroups': own((process) => process.image.cgroup),
  'thread.cap_permitted': own((process) => capabilities(process.image.capPermitted)),
  'thread.cap_effective': own((process) => capabilities(process.image.capEffective)),
  'thread.cap_inheritable': own((process) => capabilities(process.image.capInheritable)),
  'user.uid': plain((event) => event.u32(HEADER.uid)),
  'user.name': (_argument, context) => (event) => context.users.name(event.u32(HEADER.uid)),
  'user.loginuid': own((process) => (process.image.loginuid === NO_LOGIN ? -1 : process.image.loginuid)),
  'user.loginname': (_argument, context) => (event) =>
    event.process.known && event.process.image.loginuid !== NO_LOGIN
      ? context.users.name(event.process.image.loginuid)
      : undefined,
  'group.gid': plain((event) => event.u32(HEADER.gid)),
  'group.name': (_argument, context) => (event) => context.groups.name(event.u32(HEADER.gid)),
};
