import type { Config } from '../collector/config/config.ts';
import { formatProblem } from '../collector/config/problem.ts';
import { readConfig } from './read-config.ts';
import { whenStopped } from './stop-signals.ts';
import { version } from './version.ts';

/** `shikra run`: the agent, until a signal or its own end. @returns the exit code */
export async function run(options: { readonly config?: string }): Promise<number> {
  const { config, warnings } = readConfig(options.config);
  for (const warning of warnings) console.error(`shikra: warning: ${formatProblem(warning)}`);

  // Only now: a mistake in the configuration is told before anything of the agent is loaded.
  const { startAgent } = await import('../collector/agent.ts');
  const stopped = whenStopped();
  const agent = await startAgent(config, { version: version(), onReady: () => welcome(config) });
  void stopped.then(() => agent.stop());
  const exitCode = await agent.closed;
  // Whatever is left open must not keep a stopped agent alive.
  setTimeout(() => process.exit(), 1_000).unref();
  return exitCode;
}

/** For someone at a terminal; a log collector needs no greeting. */
function welcome({ service, file }: Config): void {
  if (!process.stderr.isTTY) return;
  const sinks = service.pipelines.logs.exporters.join(', ');
  console.error(`shikra ${version()} is watching (${file ?? 'defaults'}); detections go to ${sinks}. Ctrl-C stops it.`);
}
