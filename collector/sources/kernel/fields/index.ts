import type { FieldGetter, FieldReference, FieldResolver, Subject, TypedCheck } from '../../../../rules/index.ts';
import type { FieldValue } from '../../../detection/detection.ts';
import type { EventView } from '../event-view.ts';
import { OpenManners } from '../open-manners.ts';
import { familyOf } from '../system-calls.ts';
import { CONTAINER_FIELDS, labelEvidence } from './container-fields.ts';
import type { FieldContext, FieldTable, Getter } from './context.ts';
import { DESCRIPTOR_FIELDS, DOMAIN_NAME_FIELDS } from './descriptor-fields.ts';
import { abiName, EVENT_FIELDS, FIELDS_BY_EVENT_TYPE } from './event-fields.ts';
import { truncatedFields, uncertainFields, unreadableFields } from './gaps.ts';
import { PROCESS_FIELDS } from './process-fields.ts';

const FIELDS: FieldTable = { ...EVENT_FIELDS, ...DESCRIPTOR_FIELDS, ...PROCESS_FIELDS, ...CONTAINER_FIELDS };

/** What an event that opens something has of its manner. */
const MANNER_FIELDS: ReadonlySet<string> = new Set([
  'evt.is_open_read',
  'evt.is_open_write',
  'evt.is_open_create',
  'evt.is_open_exec',
  'evt.failed',
  'evt.res',
  'fd.type',
  'fd.typechar',
  'shikra.evt.abi',
]);
const MANNER_ARGUMENTS: ReadonlySet<string> = new Set(['flags', 'mode']);

/** Whether it failed is part of the manner; which descriptor came of it is not. */
function asksForFailure({ operator, values }: TypedCheck): boolean {
  return (operator === '>=' || operator === '<') && values.length === 1 && Number(values[0]) === 0;
}

function mannerSubject(): Subject<EventView> {
  const manners = new OpenManners();
  return {
    covers({ name, argument }, eventType, check) {
      if (familyOf(eventType) !== 'open') return false;
      if (name === 'evt.rawres') return check !== undefined && asksForFailure(check);
      return MANNER_FIELDS.has(name) || (name === 'evt.arg' && MANNER_ARGUMENTS.has(argument ?? ''));
    },
    verdicts: (event) => manners.verdicts(event),
  };
}

/** The path as the caller wrote it. */
const WRITTEN: Subject<EventView> = {
  covers: ({ name }, eventType) =>
    familyOf(eventType) === 'open' && (name === 'fd.nameraw' || name === 'fs.path.nameraw'),
  verdicts: (event) => (event.shape === 'open' ? event.written.verdictsAsWritten : undefined),
};

/** A path that an event is about comes again in other events: what rules ask of it alone has one answer. */
const PATH: Subject<EventView> = {
  covers({ name, argument }, eventType) {
    if (familyOf(eventType) !== 'open') return name === 'fs.path.name' && familyOf(eventType) === 'path';
    return PATH_FIELDS.has(name) || (name === 'evt.arg' && PATH_ARGUMENTS.has(argument ?? ''));
  },
  verdicts: (event) => event.cachedPath?.verdicts,
};
const PATH_FIELDS: ReadonlySet<string> = new Set(['fd.name', 'fd.directory', 'fd.filename', 'fs.path.name']);
const PATH_ARGUMENTS: ReadonlySet<string> = new Set(['name', 'path', 'filename']);

/** So does a program; only what never changes while it runs counts. */
const IMAGE: Subject<EventView> = {
  covers: ({ name }) => IMAGE_FIELDS.has(name),
  verdicts: (event) => event.process.image.verdicts,
};
const IMAGE_FIELDS: ReadonlySet<string> = new Set([
  'proc.name',
  'proc.exe',
  'proc.exepath',
  'proc.args',
  'proc.cmdline',
  'proc.exeline',
  'proc.cwd',
  'proc.tty',
  'proc.is_exe_upper_layer',
  'proc.is_exe_from_memfd',
  'proc.stdin.type',
  'proc.stdout.type',
  'proc.stderr.type',
  'container.id',
]);

/** Gives rules the fields of system call events. */
export class KernelFields implements FieldResolver<EventView> {
  /** Those that narrow most, and cost least to know, first: what they rule out is not asked of a path that was never seen. */
  readonly subjects = [mannerSubject(), IMAGE, WRITTEN, PATH];
  readonly #context: FieldContext;
  readonly #getters = new Map<string, Getter | undefined>();

  constructor(context: FieldContext) {
    this.#context = context;
  }

  /** The same function for every event type, but for the fields that mean something else in each. */
  getter(field: FieldReference, eventType: string | undefined): FieldGetter<EventView> | undefined {
    const { name, argument } = field;
    if (FIELDS_BY_EVENT_TYPE.has(name)) return FIELDS[name]?.(argument, this.#context, eventType);
    const inCondition = eventType !== undefined && Object.hasOwn(DOMAIN_NAME_FIELDS, name) ? eventType : undefined;
    const key = inCondition !== undefined ? `${name}?` : argument === undefined ? name : `${name}[${argument}]`;
    let getter = this.#getters.get(key);
    if (getter === undefined) {
      getter = FIELDS[name]?.(argument, this.#context, inCondition);
      this.#getters.set(key, getter);
    }
    return getter;
  }
}

/** What a detection's log record is made from, whether or not the rule's output names it. */
const EVIDENCE = [
  'evt.type',
  'evt.res',
  'proc.pid',
  'proc.vpid',
  'proc.ppid',
  'proc.sid',
  'proc.pgid',
  'proc.name',
  'proc.exe',
  'proc.exepath',
  'proc.cmdline',
  'proc.cwd',
  'proc.tty',
  'proc.pname',
  'proc.pexepath',
  'proc.pcmdline',
  'proc.aname',
  'proc.pid.ts',
  'proc.is_exe_upper_layer',
  'proc.exe_ino',
  'thread.tid',
  'thread.cgroups',
  'user.uid',
  'user.name',
  'user.loginuid',
  'user.loginname',
  'group.gid',
  'group.name',
  'container.full_id',
  'container.name',
  'container.type',
  'container.image.id',
  'container.image.repository',
  'container.image.tag',
  'container.image.digest',
  'container.privileged',
  'k8s.ns.name',
  'k8s.pod.name',
  'k8s.pod.uid',
  'k8s.container.name',
  'fd.num',
  'fd.type',
  'fd.name',
  'fd.nameraw',
  'fd.ino',
  'fd.cip',
  'fd.cport',
  'fd.sip',
  'fd.sport',
  'fd.lip',
  'fd.lport',
  'fd.rip',
  'fd.rport',
  'fd.l4proto',
  'fs.path.name',
  'fs.path.source',
  'fs.path.target',
] as const;

/** Says of a detection in a container why there is no metadata. */
export const METADATA_FIELD = 'shikra.container.metadata';

/** Collects the evidence of an event. Called for detections only. */
export class Evidence {
  readonly #getters: readonly (readonly [string, Getter])[];

  constructor(context: FieldContext) {
    this.#getters = EVIDENCE.map((name) => [name, FIELDS[name]!(undefined, context, undefined)!] as const);
  }

  of(event: EventView): Record<string, FieldValue> {
    const evidence: Record<string, FieldValue> = {};
    const { container } = event.process.image;
    const { missed } = container;
    const gaps = {
      'evt.unreadable': unreadableFields(event),
      'evt.truncated': truncatedFields(event),
      'evt.uncertain': uncertainFields(event),
    };
    for (const [name, fields] of Object.entries(gaps)) if (fields !== undefined) evidence[name] = fields;
    if (abiName(event) !== 'native') evidence['shikra.evt.abi'] = abiName(event);
    if (event.raced) evidence['shikra.evt.raced'] = true;
    for (const [name, getter] of this.#getters) {
      const value = getter(event);
      if (value !== undefined) evidence[name] = value;
    }
    // One that is not waited for (`hold: 0s`) is late at once.
    if (!container.isHost && container.metadata === undefined)
      evidence[METADATA_FIELD] = container.state === 'pending' ? 'late' : container.state;
    container.missed = missed; // nobody asked for this
    return Object.assign(evidence, labelEvidence(event));
  }
}
