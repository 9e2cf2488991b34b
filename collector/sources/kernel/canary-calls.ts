import { CALL_TABLES, CANARY_NUMBERS, EVENT_TYPES, FAMILIES, INTEREST, SYSCALL_TABLE_ENTRIES } from './layout.ts';

/** Which program collects a family, and the type by which its canary comes. */
export const FAMILY_CANARIES = ['open', 'path', 'descriptor', 'socket', 'scalar', 'socketcall'].map((family) => ({
  bit: 1 << FAMILIES.get(family)!,
  family: FAMILIES.get(family)!,
  type: EVENT_TYPES.get(`canary_${family}`)!,
  program: `collect_${family}`,
}));

export const OPERATION_CANARY = EVENT_TYPES.get('canary_operation')!;
const OPERATIONS = FAMILIES.get('scalar')!;

/**
 * Adds the agent's own calls to a table of interests, for the families that are wanted of it: what nobody wants is not called, and must not be hooked for
 * this. They fail, and are wanted all the same.
 */
export function addCanaries(interests: Uint8Array, families: number): void {
  const view = new DataView(interests.buffer, interests.byteOffset);
  const set = (table: string, number: number, type: number, family: number): void => {
    const at = (CALL_TABLES.get(table)! * SYSCALL_TABLE_ENTRIES + number) * INTEREST.sizeBytes;
    view.setUint16(at + INTEREST.type, type, true);
    view.setUint8(at + INTEREST.family, family);
    view.setUint8(at + INTEREST.failed, 1);
  };
  for (const { bit, family, type } of FAMILY_CANARIES) {
    if ((families & bit) === 0) continue;
    set('native', CANARY_NUMBERS.calls! + family, type, family);
    if (family === FAMILIES.get('socketcall')) set('socketcall', CANARY_NUMBERS.socketcall!, type, family);
  }
  if (wantsOperations(interests)) set('io_uring', CANARY_NUMBERS.operation!, OPERATION_CANARY, OPERATIONS);
}

/** Whether a table asks for operations of io_uring. */
export function wantsOperations(interests: Uint8Array): boolean {
  const rowBytes = SYSCALL_TABLE_ENTRIES * INTEREST.sizeBytes;
  const first = CALL_TABLES.get('io_uring')! * rowBytes;
  return interests.subarray(first, first + rowBytes).some((byte) => byte !== 0);
}
