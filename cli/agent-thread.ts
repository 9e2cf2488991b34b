import { CollectorThread } from '../collector/engine/thread.ts';

let begun: CollectorThread | undefined;

/** Has the agent's thread load its code. Until it is {@link takeAgentThread | taken} it keeps no process alive. */
export function beginAgentThread(): void {
  begun = new CollectorThread();
  begun.unref();
}

/** The thread that was begun, or a new one. It is the caller's from now on. */
export function takeAgentThread(): CollectorThread {
  const thread = begun ?? new CollectorThread();
  begun = undefined;
  thread.ref();
  return thread;
}
