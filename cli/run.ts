import type { Config } from '../collector/config/config.ts';
import { formatProblem } from '../collector/config/problem.ts';
import { logsPipelines } from '../collector/config/service.ts';
import type { CollectorThread } from '../collector/engine/thread.ts';
import { collectGarbage } from '../collector/garbage.ts';
import { takeAgentThread } from './agent-thread.ts';
import { whenStopped } from './stop-signals.ts';
import { version } from './version.ts';

/** After a start: much of what it made is garbage, and would stay until there is as much again. */
const TIDY_AFTER_MILLIS = 250;
/** From then on: V8 lets garbage grow as long as there is room, and on a node the room is others'. */
const TIDY_MILLIS = 60_000;

const tidy = (): void => collectGarbage({ thorough: true });

/** `shikra run`: the agent, until a signal or its own end. @returns the exit code */
export async function run(options: { readonly config?: string }): Promise<number> {
  const thread = takeAgentThread();
  const agent = await start(options.config, thread).catch(async (error: unknown) => {
    await thread.terminate();
    throw error;
  });
  setTimeout(tidy, TIDY_AFTER_MILLIS).unref();
  setInterval(tidy, TIDY_MILLIS).unref();
  const exitCode = await agent.closed;
  // Whatever is left open must not keep a stopped agent alive.
  setTimeout(() => process.exit(), 250).unref();
  return exitCode;
}

async function start(configFile: string | undefined, thread: CollectorThread) {
  const { readConfig } = await import('./read-config.ts');
  const { config, warnings } = readConfig(configFile);
  for (const warning of warnings) console.error(`shikra: warning: ${formatProblem(warning)}`);

  const { takeFirstSteps } = await import('../collector/first-steps.ts');
  const firstSteps = await takeFirstSteps(config, thread);
  tidy(); // what reading the configuration left: the collector needs room for the rules, while this thread loads all else
  const { startAgent } = await import('../collector/agent.ts');
  const stopped = whenStopped();
  const agent = await startAgent(config, {
    version: version(),
    firstSteps,
    readConfig: () => readConfig(configFile),
    onReady: () => welcome(config),
  });
  void stopped.then(() => agent.stop());
  return agent;
}

/** For someone at a terminal; a log collector needs no greeting. */
function welcome({ service, file }: Config): void {
  if (!process.stderr.isTTY) return;
  const exporters = logsPipelines(service.pipelines).flatMap(([, pipeline]) => pipeline.exporters);
  const sinks = [...new Set(exporters)].join(', ');
  console.error(`shikra ${version()} is watching (${file ?? 'defaults'}); detections go to ${sinks}. Ctrl-C stops it.`);
}
