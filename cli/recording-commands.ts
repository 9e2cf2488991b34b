import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RecordOptions } from './record.ts';
import type { ReplayOptions } from './replay.ts';

const RECORD_HELP = `
The file holds the events as the kernel told them, with the processes, users, groups and containers that they are about: all that rules look at.
So it also holds the arguments of programs, in which secrets may stand, and the names of files. Only its owner may read it (mode 0600):
look through it with \`shikra replay\` before you give it away.

Process events are always recorded, others as far as a rule looks at them; --all records whatever can be collected, for rules that are not written yet.
Recording takes the place of no running agent, and does not disturb one. A recorder that is killed leaves what it had up to the last second.

Examples:
  sudo shikra record -o attack.shikra                 until Ctrl-C
  sudo shikra record -o minute.shikra --seconds 60 --all
  shikra replay minute.shikra --rules my_rules.yaml

Exit codes: 0 recorded, 1 failed, 2 bad usage or configuration. More: docs/record-and-replay.md
`;

const REPLAY_HELP = `
Needs no root, and may run on another machine than the recorder. Detections go to standard output: text on a terminal, JSON lines in a pipe, with
the hosts, names and times of the recording. The same recording and rules give the same lines, whenever and wherever.

A file that is cut off or damaged is replayed as far as it is whole; then a warning says where that is, and the exit code is 1.

Examples:
  shikra replay attack.shikra                         with the rules that \`shikra run\` would load
  shikra replay attack.shikra --rules my_rules.yaml
  shikra replay attack.shikra --rules bundled tuning.yaml --format json | jq .rule

Exit codes: 0 replayed whole, 1 cut off, damaged or not to be read, 2 bad usage, rules or configuration. More: docs/record-and-replay.md
`;

/** Registers \`record\` and \`replay\`. @param done is told the exit code of the one that ran */
export function addRecordingCommands(program: Command, done: (exitCode: number) => void): void {
  program
    .command('record')
    .description('write the events of this machine to a file, for `shikra replay`')
    .requiredOption('-o, --output <file>', 'the file to write')
    .option('--seconds <number>', 'for so long (default: until stopped)', above0)
    .option('--all', 'every event type that can be collected, not only those that the rules look at')
    .option('-c, --config <file>', 'configuration file (YAML): rules, rings, container engines')
    .option('-f, --force', 'replace a file that is there')
    .addHelpText('after', RECORD_HELP)
    .action(async (options: RecordOptions) => {
      const { record } = await import('./record.ts');
      done(await record(options));
    });

  program
    .command('replay')
    .description('show a recording to rules')
    .argument('<file>', 'what `shikra record` wrote')
    .addOption(new Option('-c, --config <file>', 'configuration file (YAML) that names the rules').conflicts('rules'))
    .option('-r, --rules <path...>', 'rule files, folders of them, or `bundled`')
    .addOption(new Option('--format <format>', 'how detections are printed').choices(['text', 'json']))
    .addHelpText('after', REPLAY_HELP)
    .action(async (file: string, options: ReplayOptions) => {
      const { replay } = await import('./replay.ts');
      done(await replay(file, options));
    });
}

function above0(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new InvalidArgumentError('Expected a number above 0.');
}
