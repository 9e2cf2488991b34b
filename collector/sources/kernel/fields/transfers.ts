/** Data that calls send or receive. */
import type { EventView } from '../event-view.ts';
import { SOCKET } from '../layout.ts';

/** Calls that send or receive, and those of them that send. */
export const SENDS: ReadonlySet<string> = new Set(['sendto', 'sendmsg', 'sendmmsg']);
const TRANSFERS: ReadonlySet<string> = new Set([...SENDS, 'recvfrom', 'recvmsg', 'recvmmsg']);

export function isTransfer(event: EventView): boolean {
  return TRANSFERS.has(event.typeName);
}

/** The first bytes that a call sent or received, each as the character of its number: what `bcontains` looks through. */
export function data(event: EventView): string | undefined {
  if (!isTransfer(event)) return undefined;
  const length = event.u16(SOCKET.data + 2);
  if (length === 0) return undefined;
  const start = event.at + event.u16(SOCKET.data);
  return event.memory.bytes.toString('latin1', start, start + length);
}
