/** Where things stand in a record: offsets and numbers out of the probe's own type information, read once. */
import { wireFormat } from '../../../native/index.ts';

const format = wireFormat();

/** Byte offset of a member; `socket.family` reaches into a nested struct. */
function offset(struct: string, path: string): number {
  const [head, ...rest] = path.split('.') as [string, ...string[]];
  const layout = format.struct(struct);
  const at = layout.offsets.get(head);
  if (at === undefined) throw new Error(`struct ${struct} has no member ${head}`);
  return rest.length === 0 ? at : at + offset(layout.memberTypes.get(head)!, rest.join('.'));
}

function offsets<const Names extends readonly string[]>(struct: string, names: Names): Record<Names[number], number> {
  return Object.fromEntries(names.map((name) => [name, offset(struct, name)])) as Record<Names[number], number>;
}

/** An enum without its prefix, lower case: `EVENT_OPENAT2` is `openat2`. */
function enumeration(name: string, prefix: string): ReadonlyMap<string, number> {
  const values = [...format.enumeration(name)].filter(([key]) => key.startsWith(prefix));
  return new Map(values.map(([key, value]) => [key.slice(prefix.length).toLowerCase(), value]));
}

export const HEADER = offsets('event_header', [
  'time_ns',
  'start_time_ns',
  'result',
  'pid',
  'tid',
  'exec_id',
  'uid',
  'gid',
  'type',
  'abi',
  'class',
  'unreadable',
  'truncated',
  'size',
  'kind',
]);
export const PROCESS = offsets('process_event', [
  'cgroup_id',
  'parent_start_time_ns',
  'exe_ino',
  'exe_ctime_ns',
  'exe_mtime_ns',
  'cap_inheritable',
  'cap_permitted',
  'cap_effective',
  'parent_pid',
  'session_id',
  'process_group_id',
  'vpid',
  'vparent_pid',
  'uid',
  'gid',
  'loginuid',
  'tty',
  'exe_dev',
  'pid_namespace',
  'mnt_namespace',
  'exe_flags',
  'stdio_kind',
  'comm',
  'exe_path',
  'cwd',
  'argv',
  'env',
  'cgroup',
  'lineage',
]);
export const FORK = offsets('fork_event', [
  'child_start_time_ns',
  'parent_start_time_ns',
  'child_pid',
  'child_vpid',
  'parent_pid',
  'child_pid_namespace',
  'flags',
]);
export const OPEN = offsets('open_event', [
  'ino',
  'dev',
  'flags',
  'directory_fd',
  'mode',
  'file_mode',
  'path',
  'path_raw',
  'directory',
  'path_inside',
]);
export const PATH = offsets('path_event', [
  'argument',
  'argument2',
  'directory_fd',
  'directory_fd2',
  'path_raw',
  'directory',
  'path_raw2',
  'directory2',
  'path_before',
  'path_before2',
  'held',
]);
export const DESCRIPTOR = offsets('descriptor_event', [
  'argument',
  'ino',
  'dev',
  'fd',
  'fd2',
  'file_mode',
  'socket',
  'path',
  'text',
]);
export const SOCKET = offsets('socket_event', ['fd', 'argument', 'socket', 'asked', 'unix_path', 'data']);
export const SCALAR = offsets('scalar_event', ['arguments', 'text']);
export const SOCKET_INFO = offsets('socket_info', [
  'family',
  'type',
  'protocol',
  'state',
  'local_port',
  'remote_port',
  'netns',
  'local_address',
  'remote_address',
]);
export const INTEREST = {
  ...offsets('interest', ['type', 'family', 'failed']),
  sizeBytes: format.struct('interest').sizeBytes,
};

/** Sizes of the fixed parts: where the first string begins. */
export const STRUCT_BYTES = { open_event: format.struct('open_event').sizeBytes } as const;

export const EVENT_TYPES = enumeration('event_type', 'EVENT_');
/** The evt.type of each number; '' for none. */
export const EVENT_TYPE_NAMES: readonly string[] = [...EVENT_TYPES.keys()]
  .map((name) => (name === 'none' ? '' : name))
  .slice(0, -1);
export const FAMILIES = enumeration('event_family', 'FAMILY_');
export const FILE_KINDS = enumeration('file_kind', 'KIND_');
export const EXE_FLAGS = enumeration('exe_flag', 'EXE_');
export const LINEAGE_FLAGS = enumeration('lineage_flag', 'LINEAGE_');
export const DROP_REASONS_IN_PROBE = [...format.enumeration('drop_reason').keys()].slice(0, -1);
export const EVENT_CLASSES_IN_PROBE = [...format.enumeration('event_class').keys()].slice(0, -1);
const LIMITS = format.enumeration('event_limits');
export const SYSCALL_TABLE_ENTRIES = LIMITS.get('SYSCALL_TABLE_ENTRIES')!;
/** Rows of the table of interests: the ways to number a call. */
export const CALL_TABLES = enumeration('call_table', 'TABLE_');
export const CALL_TABLE_ROWS = format.enumeration('call_table').get('CALL_TABLES')!;
/** By what the agent's own calls are known. */
export const CANARY_NUMBERS: Readonly<Record<string, number>> = Object.fromEntries(
  [...enumeration('canary_number', 'CANARY_')].map(([name, number]) => [name, number]),
);
export const ABIS = enumeration('event_abi', 'ABI_');
export const UNREADABLE_RESULT = format.enumeration('unreadable_bit').get('UNREADABLE_RESULT')!;
