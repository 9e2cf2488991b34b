import type { FieldGetter, FieldReference, FieldResolver } from '../../../../rules/index.ts';
import type { FieldValue } from '../../../detection/detection.ts';
import type { EventView } from '../event-view.ts';
import type { FieldContext, FieldTable, Getter } from './context.ts';
import { DESCRIPTOR_FIELDS } from './descriptor-fields.ts';
import { EVENT_FIELDS } from './event-fields.ts';
import { PROCESS_FIELDS } from './process-fields.ts';

const FIELDS: FieldTable = { ...EVENT_FIELDS, ...DESCRIPTOR_FIELDS, ...PROCESS_FIELDS };

/** Gives rules the fields of system call events. */
export class KernelFields implements FieldResolver<EventView> {
  readonly #context: FieldContext;

  constructor(context: FieldContext) {
    this.#context = context;
  }

  getter(field: FieldReference, eventType: string | undefined): FieldGetter<EventView> | undefined {
    return FIELDS[field.name]?.(field.argument, this.#context, eventType);
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

/** Collects the evidence of an event. Called for detections only. */
export class Evidence {
  readonly #getters: readonly (readonly [string, Getter])[];

  constructor(context: FieldContext) {
    this.#getters = EVIDENCE.map((name) => [name, FIELDS[name]!(undefined, context, undefined)!] as const);
  }

  of(event: EventView): Record<string, FieldValue> {
    const evidence: Record<string, FieldValue> = {};
    for (const [name, getter] of this.#getters) {
      const value = getter(event);
      if (value !== undefined) evidence[name] = value;
    }
    return evidence;
  }
}
