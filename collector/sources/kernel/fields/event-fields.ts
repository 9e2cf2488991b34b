import { formatTime } from '../../../detection/time.ts';
import { ABIS, HEADER, OPEN } from '../layout.ts';
import { O_ACCMODE, O_CREAT, O_RDONLY, O_WRONLY, resultName } from '../numbers.ts';
import { familyOf } from '../system-calls.ts';
import { argumentGetter, listedArguments, rawArgumentGetter } from './arguments.ts';
import { type FieldTable, type Getter, plain } from './context.ts';
import { data, isTransfer, SENDS } from './transfers.ts';

/** True for the kinds of open that a field is about; no value on other events. */
function onOpen(test: (flags: number, event: Parameters<Getter>[0]) => boolean): Getter {
  return (event) => (event.shape === 'open' ? test(event.u32(OPEN.flags), event) : undefined);
}

const CATEGORIES: Readonly<Record<string, string>> = {
  open: 'file',
  path: 'file',
  descriptor: 'file',
  socket: 'net',
  scalar: 'other',
};

const ABI_NAMES = [...ABIS.keys()];

/** How a call was made: by the machine's own convention mostly. */
export function abiName(event: Parameters<Getter>[0]): string {
  return ABI_NAMES[event.abi]!;
}

/** Fields that are read in another way for each event type. */
export const FIELDS_BY_EVENT_TYPE: ReadonlySet<string> = new Set(['evt.arg']);

export const EVENT_FIELDS: FieldTable = {
  'evt.num': plain((event) => event.number),
  'evt.type': plain((event) => event.typeName),
  'syscall.type': plain((event) => event.typeName),
  'evt.type.is': (argument) => (event) => (event.typeName === argument ? 1 : 0),
  'evt.category': plain((event) => CATEGORIES[familyOf(event.typeName) ?? ''] ?? 'process'),
  'evt.source': plain(() => 'syscall'),
  'evt.is_async': plain(() => false),
  'evt.dir': plain(() => '<'),
  'evt.hostname': (_argument, context) => () => context.hostname,
  'evt.rawtime': (_argument, context) => (event) => context.clock.wallNs(event.u64(HEADER.time_ns)),
  'evt.time': (_argument, context) => (event) => formatTime(context.clock.wallNs(event.u64(HEADER.time_ns))),
  'evt.time.iso8601': (_argument, context) => (event) => formatTime(context.clock.wallNs(event.u64(HEADER.time_ns))),
  'evt.datetime': (_argument, context) => (event) => formatTime(context.clock.wallNs(event.u64(HEADER.time_ns))),
  'evt.res': plain((event) => resultName(event.result)),
  'evt.rawres': plain((event) => event.result),
  'evt.failed': plain((event) => event.result < 0),
  'shikra.evt.abi': plain(abiName),
  'shikra.evt.raced': plain((event) => event.raced),
  'evt.buffer': plain(data),
  'evt.is_io': plain(isTransfer),
  'evt.is_io_read': plain((event) => isTransfer(event) && !SENDS.has(event.typeName)),
  'evt.is_io_write': plain((event) => SENDS.has(event.typeName)),
  'evt.io_dir': plain((event) => (isTransfer(event) ? (SENDS.has(event.typeName) ? 'w' : 'r') : undefined)),
  'evt.count': plain(() => 1),
  'evt.count.error': plain((event) => (event.result < 0 ? 1 : 0)),
  'evt.count.exit': plain(() => 1),
  'evt.is_open_read': plain(onOpen((flags) => (flags & O_ACCMODE) !== O_WRONLY)),
  'evt.is_open_write': plain(onOpen((flags) => (flags & O_ACCMODE) !== O_RDONLY)),
  'evt.is_open_create': plain(onOpen((flags) => (flags & O_CREAT) !== 0)),
  'evt.is_open_exec': plain(onOpen((flags, event) => (flags & O_CREAT) !== 0 && (event.u16(OPEN.mode) & 0o111) !== 0)),
  'evt.arg': argumentGetter,
  'evt.rawarg': rawArgumentGetter,
  'evt.args': (_argument, context) => (event) => listedArguments(event, context),
  'evt.info': (_argument, context) => (event) => listedArguments(event, context),
  'evt.abspath': (argument) => (event) => (argument === 'dst' ? event.path2 || undefined : event.path),
};
