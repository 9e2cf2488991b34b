import { StoreLock } from '../exporters/store/lock.ts';
import type { Config } from './config/config.ts';
import { FileWatch } from './engine/file-watch.ts';
import { CollectorThread } from './engine/thread.ts';
import { ReceiversInUse } from './receivers-in-use.ts';
import { checkRequirements } from './sources/kernel/requirements.ts';

/** What a start has done before the rest of the agent's code is there. */
export interface FirstSteps {
  readonly receivers: ReceiversInUse;
  /** Undefined if nothing of the kernel's is wanted. */
  readonly thread: CollectorThread | undefined;
  /** Of the rules. */
  readonly watch: FileWatch;
  readonly lock: StoreLock;
}

/**
 * Has the collector begin: it reads and compiles the rules while this thread loads the code of pipeline, metrics and log, which takes as long.
 * @param thread made earlier, which has loaded its code meanwhile; ended here if it is not needed
 * @throws ShikraError if the agent cannot run here; nothing is left open then
 */
export async function takeFirstSteps(config: Config, thread?: CollectorThread): Promise<FirstSteps> {
  const receivers = new ReceiversInUse(config);
  if (receivers.kernel !== undefined) checkRequirements(); // before a store is made or a port is taken
  const lock = StoreLock.take(config.service.store.path);
  const watch = new FileWatch(receivers.watchedPaths(), 'rules');
  let collector: CollectorThread | undefined;
  try {
    await watch.start(); // before the rules are read: a change meanwhile is one
    if (receivers.kernel === undefined) {
      await thread?.terminate();
    } else {
      collector = thread ?? new CollectorThread();
      collector.begin(receivers.collectorOptions(receivers.kernel));
    }
    return { receivers, thread: collector, watch, lock };
  } catch (error) {
    await collector?.terminate();
    watch.close();
    lock.release();
    throw error;
  }
}
