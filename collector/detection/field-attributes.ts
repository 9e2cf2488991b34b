import type { AttributeValue } from './attribute-value.ts';
import type { FieldValue } from './detection.ts';

type Convert = (value: FieldValue) => AttributeValue | undefined;

const text: Convert = (value) => (Array.isArray(value) ? value.join(' ') : String(value));
const list: Convert = (value) => (Array.isArray(value) ? [...value] : [String(value)]);
const flag: Convert = (value) => value === true || value === 'true' || value === 1;
const notHost: Convert = (value) => (value === 'host' || value === '' ? undefined : text(value));

const whole: Convert = (value) => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number === 'bigint') return Number.isSafeInteger(Number(number)) ? Number(number) : String(number);
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
};

/** The audit login id is unset (-1, or its unsigned form) for daemons. */
const loginId: Convert = (value) => {
  const id = whole(value);
  return id === -1 || id === 4294967295 ? undefined : id;
};

const creationTime: Convert = (value) => {
  const nanos = typeof value === 'bigint' ? value : typeof value === 'number' ? BigInt(Math.trunc(value)) : undefined;
  return nanos === undefined ? text(value) : new Date(Number(nanos / 1_000_000n)).toISOString();
};

/**
 * Rule field -> attribute, after OpenTelemetry's semantic conventions; what they have no name for is under `shikra.`.
 * Several fields may name one attribute: the first that has a value wins, in the order of this table.
 */
export const FIELD_ATTRIBUTES: readonly (readonly [field: string, attribute: string, convert: Convert])[] = [
  ['evt.type', 'shikra.event.type', text],
  ['evt.dir', 'shikra.event.direction', text],
  ['evt.num', 'shikra.event.number', text],
  ['evt.res', 'shikra.event.result', text],
  ['evt.rawres', 'shikra.event.raw_result', whole],
  ['shikra.evt.abi', 'shikra.event.abi', text],
  ['shikra.evt.raced', 'shikra.event.raced', flag],
  ['evt.unreadable', 'shikra.event.unreadable', list],
  ['evt.truncated', 'shikra.event.truncated', list],
  ['evt.uncertain', 'shikra.event.uncertain', list],

  ['proc.exepath', 'process.executable.path', text],
  ['proc.exe', 'process.command', text],
  ['proc.cmdline', 'process.command_line', text],
  ['proc.name', 'shikra.process.comm', text],
  ['proc.pid', 'process.pid', whole],
  ['proc.vpid', 'process.vpid', whole],
  ['shikra.proc.is_host_program', 'shikra.process.is_host_program', flag],
  ['proc.ppid', 'process.parent_pid', whole],
  ['proc.sid', 'process.session_leader.pid', whole],
  ['proc.pgid', 'process.group_leader.pid', whole],
  ['proc.cwd', 'process.working_directory', text],
  ['proc.pid.ts', 'process.creation.time', creationTime],
  ['thread.cgroups', 'process.linux.cgroup', text],
  ['proc.tty', 'shikra.process.tty', whole],
  ['proc.pname', 'shikra.process.parent.name', text],
  ['proc.pcmdline', 'shikra.process.parent.command_line', text],
  ['proc.pexepath', 'shikra.process.parent.executable_path', text],
  ['proc.aname', 'shikra.process.ancestors', list],
  ['proc.is_exe_upper_layer', 'shikra.process.exe_upper_layer', flag],
  ['proc.exe_ino', 'shikra.process.exe_inode', text],
  ['thread.tid', 'shikra.thread.tid', whole],

  ['user.uid', 'process.user.id', whole],
  ['user.name', 'process.user.name', text],
  ['user.loginuid', 'shikra.user.login.id', loginId],
  ['user.loginname', 'shikra.user.login.name', text],
  ['group.gid', 'shikra.group.id', whole],
  ['group.name', 'shikra.group.name', text],

  ['container.full_id', 'container.id', notHost],
  ['container.id', 'container.id', notHost],
  ['container.name', 'container.name', notHost],
  ['container.image.repository', 'container.image.name', text],
  ['container.image.tag', 'container.image.tags', list],
  ['container.image.id', 'container.image.id', text],
  ['container.type', 'container.runtime.name', notHost],
  ['container.privileged', 'shikra.container.privileged', flag],

  ['k8s.pod.name', 'k8s.pod.name', text],
  ['k8s.pod.uid', 'k8s.pod.uid', text],
  ['k8s.pod.ip', 'k8s.pod.ip', text],
  ['k8s.ns.name', 'k8s.namespace.name', text],
  ['k8s.container.name', 'k8s.container.name', text],
  ['k8s.deployment.name', 'k8s.deployment.name', text],
  ['k8s.rs.name', 'k8s.replicaset.name', text],
  ['k8s.replicaset.name', 'k8s.replicaset.name', text],
  ['k8s.daemonset.name', 'k8s.daemonset.name', text],
  ['k8s.statefulset.name', 'k8s.statefulset.name', text],
  ['k8s.job.name', 'k8s.job.name', text],
  ['k8s.cronjob.name', 'k8s.cronjob.name', text],

  ['fd.cip', 'client.address', text],
  ['fd.cport', 'client.port', whole],
  ['fd.sip', 'server.address', text],
  ['fd.sport', 'server.port', whole],
  ['fd.lip', 'network.local.address', text],
  ['fd.lport', 'network.local.port', whole],
  ['fd.rip', 'network.peer.address', text],
  ['fd.rport', 'network.peer.port', whole],
];
