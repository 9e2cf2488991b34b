import { Command, CommanderError } from 'commander';
import { addDeadLetterCommands } from './deadletter-commands.ts';
import { addRecordingCommands } from './recording-commands.ts';
import { reportError } from './report-error.ts';
import { addRulesCommands } from './rules-commands.ts';
import { version } from './version.ts';

const EXAMPLES = `
Examples:
  shikra run                          watch this machine; detections on the terminal
  shikra run | jq .rule               in a pipe, detections are JSON lines
  shikra run -c /etc/shikra/shikra.yaml
  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317 shikra run
                                      send detections and metrics to a collector too
  shikra check my_rules.yaml          say all that is wrong with rules
  shikra rules explain 'Reverse shell'
                                      what a rule looks at, macros put in
  shikra rules test my_rules.yaml     run the tests that stand beside rules
  shikra record -o attack.shikra      write the events to a file,
  shikra replay attack.shikra         and show them to rules, anywhere
  shikra deadletter list              what receivers refused
  shikra rules top                    which rule of a running agent costs what
  shikra doctor                       can Shikra run here, and if not, what is missing

Exit codes: 0 done, 1 failed, 2 bad usage or configuration.
`;

const RUN_HELP = `
Without -c the defaults are in use: the bundled rules and those in /etc/shikra/rules.d, detections on
standard output and in the store, metrics and health on http://127.0.0.1:8765.

Every key of the file: docs/configuration.md. For an editor that completes and checks it, docs/config.schema.json.

Stop with Ctrl-C or SIGTERM: what was detected is delivered first, for up to 5 seconds. A second one stops at once.
`;

const DOCTOR_HELP = `
Each line is a thing that was looked at: \`ok\`, \`not ok\` with the remedy below it, or \`-\` for one that may be missing.
Exit code 1 if something that is needed is not ok.
`;

/** Runs a command line to its end. @returns the exit code */
export async function runCommandLine(parameters: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command('shikra')
    .description('Watches the system calls of this machine; every detection is an OpenTelemetry log record.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(`shikra --help` shows what there is)')
    .exitOverride();

  program
    .command('run')
    .description('watch this machine until stopped')
    .option('-c, --config <file>', 'configuration file (YAML)')
    .option('--dry-run', 'print which parts would be joined to which, and start nothing')
    .addHelpText('after', RUN_HELP)
    .action(async (options: { config?: string; dryRun?: boolean }) => {
      if (options.dryRun) {
        const { dryRun } = await import('./dry-run.ts');
        dryRun(options.config);
        return;
      }
      const { run } = await import('./run.ts');
      exitCode = await run(options);
    });

  program
    .command('doctor')
    .description('say whether Shikra can run here, and what to do if not')
    .option('-c, --config <file>', 'look at the rings, sinks and store that this configuration names')
    .option('--json', 'print JSON')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (options: { config?: string; json?: boolean }) => {
      const { doctor } = await import('./doctor.ts');
      exitCode = await doctor(options);
    });

  addRulesCommands(program, (code) => {
    exitCode = code;
  });
  addRecordingCommands(program, (code) => {
    exitCode = code;
  });
  addDeadLetterCommands(program, (code) => {
    exitCode = code;
  });

  try {
    await program.parseAsync([...parameters], { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has said what was wrong. Asking for help or the version is not wrong.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportError(error);
  }
}
