import { formatTime } from '../../../detection/time.ts';
import { AUDIT_EVENT_TYPE } from '../audit-event.ts';
import { follow, indented, pointerKeys } from '../json.ts';
import { type ArgumentGetter, type FieldTable, plain } from './context.ts';

const NANOS_PER_SECOND = 1_000_000_000n;
const time = plain((event) => formatTime(event.timeNs));
const timeInSeconds = plain((event) => formatTime(event.timeNs).slice(0, 19));

const valueAt: ArgumentGetter = (argument) => {
  if (argument === undefined) return undefined;
  const keys = pointerKeys(argument);
  return (event) => event.textOf(follow(event.json, keys));
};
const whole = plain((event) => indented(event.json));
const rawTime = plain((event) => String(event.timeNs));

/** The event as the engine has it, and its JSON. */
export const EVENT_FIELDS: FieldTable = {
  'evt.num': plain((event) => event.number),
  'evt.type': plain(() => AUDIT_EVENT_TYPE),
  'evt.type.is': (argument) => () => (argument === AUDIT_EVENT_TYPE ? 1 : 0),
  'evt.source': plain(() => 'k8s_audit'),
  'evt.pluginname': plain(() => 'k8saudit'),
  'evt.plugininfo': plain((event) => JSON.stringify(event.json)),
  'evt.is_async': plain(() => false),
  'evt.dir': plain(() => '<'),
  'evt.count': plain(() => 1),
  'evt.hostname': (_argument, context) => () => context.hostname,
  'evt.rawtime': plain((event) => event.timeNs),
  'evt.rawtime.s': plain((event) => event.timeNs / NANOS_PER_SECOND),
  'evt.rawtime.ns': plain((event) => event.timeNs % NANOS_PER_SECOND),
  'evt.time': time,
  'evt.time.iso8601': time,
  'evt.datetime': time,
  'evt.time.s': timeInSeconds,
  'evt.datetime.s': timeInSeconds,
  'json.value': valueAt,
  'jevt.value': valueAt,
  'json.obj': whole,
  'jevt.obj': whole,
  'json.rawtime': rawTime,
  'jevt.rawtime': rawTime,
};
