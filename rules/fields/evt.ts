import { field, KEY_REQUIRED } from './field.ts';

const DEPRECATED = { deprecated: true } as const;

/** Fields of the event itself. */
export const EVT_FIELDS = [
  field('evt.num', 'UINT64', 'number of the event, counted from 1'),
  field('evt.time', 'CHARBUF', 'time of the event, local, with nanoseconds'),
  field('evt.time.s', 'CHARBUF', 'time of the event, local, without nanoseconds'),
  field('evt.time.iso8601', 'CHARBUF', 'time of the event, ISO 8601, UTC'),
  field('evt.datetime', 'CHARBUF', 'date and time of the event, local'),
  field('evt.datetime.s', 'CHARBUF', 'date and time of the event, local, without nanoseconds'),
  field('evt.rawtime', 'ABSTIME', 'time of the event in nanoseconds since 1970'),
  field('evt.rawtime.s', 'ABSTIME', 'seconds part of evt.rawtime'),
  field('evt.rawtime.ns', 'ABSTIME', 'nanoseconds part of evt.rawtime'),
  field('evt.reltime', 'RELTIME', 'nanoseconds since the first event'),
  field('evt.reltime.s', 'RELTIME', 'seconds part of evt.reltime'),
  field('evt.reltime.ns', 'RELTIME', 'nanoseconds part of evt.reltime'),
  field('evt.pluginname', 'CHARBUF', 'plugin that made the event'),
  field('evt.plugininfo', 'CHARBUF', 'summary of the event by its plugin'),
  field('evt.source', 'CHARBUF', 'source of the event, such as syscall or k8s_audit'),
  field('evt.is_async', 'BOOL', 'the event was made by the agent, not by a system call'),
  field('evt.asynctype', 'CHARBUF', 'kind of an asynchronous event'),
  field('evt.hostname', 'CHARBUF', 'name of the host'),
  field('evt.deltatime', 'RELTIME', 'nanoseconds since the previous event'),
  field('evt.deltatime.s', 'RELTIME', 'seconds part of evt.deltatime'),
  field('evt.deltatime.ns', 'RELTIME', 'nanoseconds part of evt.deltatime'),
  field('evt.type', 'CHARBUF', 'name of the event, mostly that of the system call'),
  field('evt.type.is', 'UINT32', '1 for events of the type given as argument, otherwise 0', KEY_REQUIRED),
  field('syscall.type', 'CHARBUF', 'name of the system call; absent for other events'),
  field('evt.category', 'CHARBUF', 'family of the event: file, net, process, ...'),
  field('evt.cpu', 'INT32', 'processor on which the event happened'),
  field('evt.args', 'CHARBUF', 'all arguments as name=value, or name=number(NAME), joined by blanks'),
  field('evt.arg', 'CHARBUF', 'one argument as text, by name or number; flags are joined by |', KEY_REQUIRED),
  field(
    'evt.rawarg',
    'BYTEBUF',
    "one argument as the kernel holds it: a number where evt.arg shows the number's name",
    KEY_REQUIRED,
  ),
  field('evt.info', 'CHARBUF', 'the same as evt.args'),
  field('evt.buffer', 'BYTEBUF', 'data read or written, cut at the snapshot length'),
  field('evt.buflen', 'UINT64', 'length of the data read or written'),
  field('evt.res', 'CHARBUF', 'SUCCESS, or the name of the error such as ENOENT'),
  field('evt.rawres', 'INT64', 'return value of the system call'),
  field('evt.failed', 'BOOL', 'the system call returned an error'),
  field('evt.is_io', 'BOOL', 'the event reads or writes'),
  field('evt.is_io_read', 'BOOL', 'the event reads'),
  field('evt.is_io_write', 'BOOL', 'the event writes'),
  field('evt.io_dir', 'CHARBUF', 'r for reading, w for writing'),
  field('evt.is_wait', 'BOOL', 'the event waits, such as sleep, select and poll'),
  field('evt.is_syslog', 'BOOL', 'the event writes to /dev/log'),
  field('evt.count', 'UINT32', 'always 1'),
  field('evt.count.error', 'UINT32', '1 for events that failed'),
  field('evt.count.error.file', 'UINT32', '1 for file events that failed'),
  field('evt.count.error.net', 'UINT32', '1 for network events that failed'),
  field('evt.count.error.memory', 'UINT32', '1 for memory events that failed'),
  field('evt.count.error.other', 'UINT32', '1 for other events that failed'),
  field('evt.count.exit', 'UINT32', '1 for exit events'),
  field('evt.abspath', 'FSPATH', 'absolute path of src, dst or the only path of the call', {
    ...KEY_REQUIRED,
    argument: 'optional',
    isPath: true,
  }),
  field('evt.is_open_read', 'BOOL', 'a file was opened for reading'),
  field('evt.is_open_write', 'BOOL', 'a file was opened for writing'),
  field('evt.is_open_exec', 'BOOL', 'a file was created with a permission to execute'),
  field('evt.is_open_create', 'BOOL', 'a file was created by opening it'),
  field('evt.latency', 'RELTIME', 'no longer has a value: events have no enter half', DEPRECATED),
  field('evt.latency.s', 'RELTIME', 'no longer has a value', DEPRECATED),
  field('evt.latency.ns', 'RELTIME', 'no longer has a value', DEPRECATED),
  field('evt.latency.human', 'CHARBUF', 'no longer has a value', DEPRECATED),
  field('evt.wait_latency', 'RELTIME', 'no longer has a value', DEPRECATED),
  field('evt.dir', 'CHARBUF', 'always <: events have no enter half', DEPRECATED),
  field('shikra.evt.abi', 'CHARBUF', 'how the call was made: native, compat (32-bit), x32, io_uring'),
  field(
    'shikra.evt.raced',
    'BOOL',
    'a path in memory was another at the end of the call than at its beginning, or its page was held back by userfaultfd',
  ),
  field('util.cnt', 'UINT64', 'a counter of its own'),
];

/** Arguments of `evt.arg` that hold a path. */
export const PATH_ARGUMENTS: ReadonlySet<string> = new Set([
  'path',
  'name',
  'filename',
  'pathname',
  'oldpath',
  'newpath',
  'target',
  'linkpath',
]);

/** Arguments that are numbers in every event that has them: `evt.rawarg` of them is one. Of others (`type`, `data`) the comparison decides. */
export const NUMBER_ARGUMENTS: ReadonlySet<string> = new Set(
  `addr arg2_int attr_flags backlog cpu dirfd domain egid entries euid fd flags gid group_fd ino initrd_fd kernel_fd length linkdirfd min_complete mode
  newdirfd newfd nr_args nr_segments nstype olddirfd oldfd opcode option persona pid pid_fd proto request res rgid ruid sgid sig suid target_fd tid
  to_submit uid`.split(/\s+/),
);
