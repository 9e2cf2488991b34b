import { type Config, kernelReceiver } from '../collector/config/config.ts';
import { ShikraError } from '../collector/errors.ts';
import { checkAuditLogs } from './doctor/audit-logs.ts';
import { type Check, exitCodeOf, formatChecks, notOk, ok } from './doctor/check.ts';
import { checkContainers } from './doctor/containers.ts';
import { checkHost } from './doctor/host.ts';
import { checkProbe } from './doctor/probe.ts';
import { checkRings } from './doctor/rings.ts';
import { checkSinks } from './doctor/sinks.ts';
import { checkStore } from './doctor/store.ts';
import { readConfig } from './read-config.ts';
import { version } from './version.ts';

/** `shikra doctor`: looks at everything the agent needs, and says what to do about what is missing. @returns the exit code */
export async function doctor(options: { readonly config?: string; readonly json?: boolean }): Promise<number> {
  const checks = await examine(options.config);
  if (options.json) console.log(JSON.stringify({ version: version(), ok: exitCodeOf(checks) === 0, checks }, null, 2));
  else console.log(formatChecks(checks));
  return exitCodeOf(checks);
}

async function examine(file: string | undefined): Promise<Check[]> {
  const { check, config } = checkConfig(file);
  // Without the kernel's events nothing of it is needed.
  const needsKernel = config === undefined || kernelReceiver(config) !== undefined;
  return [
    ...(needsKernel ? [...checkHost(), ...(await checkProbe())] : []),
    check,
    ...(config === undefined
      ? []
      : [
          ...(needsKernel ? await checkContainers(config) : []),
          ...checkRings(config),
          ...checkAuditLogs(config),
          ...checkStore(config),
          ...(await checkSinks(config)),
        ]),
  ];
}

function checkConfig(file: string | undefined): { check: Check; config?: Config } {
  try {
    const { config } = readConfig(file);
    return { check: ok('configuration', file ?? 'the defaults'), config };
  } catch (error) {
    if (!(error instanceof ShikraError)) throw error;
    return { check: notOk('configuration', error.message, error.remedy) };
  }
}
