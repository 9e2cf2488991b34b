import type { EventView } from '../event-view.ts';
import { HEADER, UNREADABLE_RESULT } from '../layout.ts';
import type { Process } from '../process.ts';

/** Which field each string of a family's record (n-th str_ref in event.h) gives: what a bit of `unreadable` or `truncated` is about. */
const FIELDS_OF_STRINGS: Readonly<Record<EventView['shape'], readonly string[]>> = {
  open: ['fd.name', 'fd.nameraw', 'fd.nameraw', 'fd.name'],
  path: ['fs.path.name', 'fs.path.name', 'fs.path.target', 'fs.path.target', 'fs.path.name'],
  descriptor: ['fd.name', 'evt.args'],
  socket: ['fd.name'],
  scalar: ['evt.args'],
  process: ['proc.exepath', 'proc.cwd', 'proc.args', 'proc.env', 'container.id'],
};

/** The fields that a bit mask of a record marks. */
export function fieldsMarked(shape: EventView['shape'], mask: number): string[] {
  return [...new Set(FIELDS_OF_STRINGS[shape].filter((_, slot) => (mask >>> slot) & 1))];
}

/** Fields of the event or of its process that could not be read. */
export function unreadableFields(event: EventView): readonly string[] | undefined {
  const fields = joined(event, HEADER.unreadable, event.process.image.unreadable);
  const unheard =
    event.shape !== 'process' && (event.memory.bytes[event.at + HEADER.unreadable]! >>> UNREADABLE_RESULT) & 1;
  return unheard ? ['evt.res', ...(fields ?? [])] : fields;
}

/** Fields of the event or of its process that were cut. */
export function truncatedFields(event: EventView): readonly string[] | undefined {
  return joined(event, HEADER.truncated, event.process.image.truncated);
}

function joined(event: EventView, offset: number, ofProcess: number): readonly string[] | undefined {
  const mask = event.shape === 'process' ? 0 : event.memory.bytes[event.at + offset]!;
  if (mask === 0 && ofProcess === 0) return undefined;
  return [...fieldsMarked(event.shape, mask), ...fieldsMarked('process', ofProcess)];
}

/**
 * Fields that events which were lost may have left wrong. `proc.name` stands for all that is told of the process's own program, `proc.aname[n]` for that of its n-th
 * ancestor, `proc.apid[n]` for that ancestor and all behind it.
 */
export function uncertainFields({ process, memory, at }: EventView): readonly string[] | undefined {
  const fields: string[] = [];
  if (!process.known || memory.u32[(at + HEADER.exec_id) >>> 2]! < process.execId) fields.push('proc.name');
  let n = 1;
  for (let child: Process | undefined = process; child !== undefined; child = child.parent, n++) {
    if (child.doubt === 'parent') {
      fields.push(`proc.apid[${n}]`);
      break;
    }
    if (child.doubt === 'image' || child.parent?.known === false) fields.push(`proc.aname[${n}]`);
  }
  return fields.length > 0 ? fields : undefined;
}
