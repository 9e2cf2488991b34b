import { type Command, InvalidArgumentError } from 'commander';
import type { ChoiceOptions, ListOptions } from './deadletter.ts';

const HELP = `
A dead letter is a detection that a receiver refused for good (a wrong token, a payload that it does not take). It waits in the store for as
long as detections do; the log and shikra_exporter_records_total{outcome="dead_letter"} tell of it.

Examples:
  shikra deadletter list
  shikra deadletter list --json | jq -r '.[].reason' | sort | uniq -c
  shikra deadletter retry --exporter slack/security    after its token was renewed
  shikra deadletter retry 019a2b3c-...                 one detection
  shikra deadletter drop --all

A retry is done by the running agent within seconds, or by the next one. Exit codes: 0 done, 1 there was none, 2 bad usage.
`;

/** Registers the commands about dead letters. @param done is told the exit code of the one that ran */
export function addDeadLetterCommands(program: Command, done: (exitCode: number) => void): void {
  const letters = program
    .command('deadletter')
    .description('list, send again or drop what receivers refused')
    .addHelpText('after', HELP);
  const common = (command: Command) =>
    command
      .option('-c, --config <file>', 'configuration file that names the store')
      .option('-e, --exporter <id>', 'only those of this exporter: `slack/security`');

  common(letters.command('list'))
    .description('say what was refused, by whom and why; the newest first')
    .option('--json', 'print JSON')
    .option('-n, --limit <count>', 'at most so many', positiveInteger, 100)
    .action(async (options: ListOptions) => {
      const { list } = await import('./deadletter.ts');
      done(list(options));
    });
  common(letters.command('retry'))
    .description('have them sent again')
    .argument('[uuid...]', 'detections')
    .option('--all', 'all of them')
    .action(async (uids: string[], options: ChoiceOptions) => {
      const { retry } = await import('./deadletter.ts');
      done(retry(uids, options));
    });
  common(letters.command('drop'))
    .description('delete them; the detections stay in the store')
    .argument('[uuid...]', 'detections')
    .option('--all', 'all of them')
    .action(async (uids: string[], options: ChoiceOptions) => {
      const { drop } = await import('./deadletter.ts');
      done(drop(uids, options));
    });
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a number above 0');
  return Number(text);
}
