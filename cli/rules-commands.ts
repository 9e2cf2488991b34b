import { type Command, InvalidArgumentError, Option } from 'commander';
import { REPORT_FORMATS } from '../rules/testing/report-formats.ts';
import type { CheckOptions } from './check.ts';
import type { FieldsOptions } from './fields.ts';
import type { RulesExplainOptions } from './rules-explain.ts';
import type { RulesListOptions } from './rules-list.ts';
import type { RulesTestOptions } from './rules-test.ts';
import type { RulesTopOptions } from './rules-top.ts';

const SOURCES = ['syscall', 'k8s_audit'];

const CHECK_HELP = `
All mistakes and warnings at once, each with its place, code, the line, what was expected and near names. The files are loaded as one
set in the order given, as the agent loads them; a folder stands for the rule files in it, \`bundled\` for those that come with Shikra.

Examples:
  shikra check my_rules.yaml
  shikra check bundled tuning.yaml --strict     in a pipeline: warnings fail too
  shikra check *.yaml --json | jq '.falco_load_results[] | select(.successful | not)'

Exit codes: 0 no errors (with --strict: nothing at all), 1 there are some, 2 a file cannot be read.
`;

const FIELDS_HELP = `
Examples:
  shikra fields | grep 'proc\\.a'           fields of ancestors
  shikra fields --source k8s_audit
  shikra fields --json | jq -r '.[].fields[] | select(.collected == false).name'
`;

const EXPLAIN_HELP = `
Without a file the bundled rules are looked through. Files are loaded as one set in the order given, so that what is shown is what is
in force after every append and override; \`bundled\` stands for the rules that come with Shikra.

Examples:
  shikra rules explain 'Reverse shell'
  shikra rules explain 'Reverse shell' bundled /etc/shikra/rules.d
  shikra rules explain 'Reverse shell' --json | jq .details.lists
`;

const LIST_HELP = `
Examples:
  shikra rules list
  shikra rules list bundled /etc/shikra/rules.d | grep mitre_persistence
  shikra rules list --json | jq -r '.rules[] | select(.enabled | not).name'
`;

const SCHEMA_HELP = `
For an editor that completes and checks rule files; it is also in docs/rules.schema.json. In VS Code with the YAML extension:
  "yaml.schemas": {"./rules.schema.json": ["rules/*.yaml"]}
In any editor with yaml-language-server, as the first line of a rule file:
  # yaml-language-server: $schema=rules.schema.json
`;

const TEST_HELP = `
Without a path the bundled rules are tested. A rule file has its cases in the file of the same name in the folder \`cases\`
beside it; a folder stands for all its rule files as one set, and for all cases in its folder \`cases\`.

Examples:
  shikra rules test my_rules.yaml                      cases/my_rules.yaml
  shikra rules test tuning.yaml --rules bundled        rules that tune the bundled ones
  shikra rules test /etc/shikra/rules.d --coverage     fail if a rule has not both kinds of cases
  shikra rules test my_rules.yaml --format junit > report.xml

How cases are written: docs/rule-tests.md. Exit codes: 0 all passed, 1 some failed, 2 mistakes in rules or cases.
`;

const TOP_HELP = `
Asks a running agent's /metrics. Matches are counted; evaluations and times are estimates: the agent measures about one event in 1024 and lets it
stand for them all, so on a machine with few events take a long interval. What is decided for thirty rules at once counts for them in equal
parts, what several rules share for the first of them; a single evaluation for 20 microseconds at most.

  TIME            of the time that all rules took
  PER EVALUATION  of the rule, on one event
  EVALUATIONS     events that the rule was evaluated on: those of its event types that no rule before it matched

Examples:
  shikra rules top                                live, every 5 seconds
  shikra rules top --once --interval 60 --limit 10
  shikra rules top --once --json | jq -r '.rules[] | select(.matches > 0).rule'

Exit codes: 0 done, 1 no agent answers, 2 bad usage or configuration.
`;

/** Registers the commands about rules. @param done is told the exit code of the one that ran */
export function addRulesCommands(program: Command, done: (exitCode: number) => void): void {
  program
    .command('check')
    .description('say all that is wrong with rule files')
    .argument('<path...>', 'rule files, folders of them, or `bundled`')
    .option('--json', "print JSON in the shape of Falco's validation")
    .option('--strict', 'warnings fail too')
    .addHelpText('after', CHECK_HELP)
    .action(async (paths: string[], options: CheckOptions) => {
      const { check } = await import('./check.ts');
      done(await check(paths, options));
    });

  program
    .command('fields')
    .description('list every field that rules can name')
    .option('--json', "print JSON in the shape of Falco's list")
    .addOption(new Option('-s, --source <source>', 'only fields of events of this source').choices(SOURCES))
    .option('--names', 'print names only')
    .addHelpText('after', FIELDS_HELP)
    .action(async (options: FieldsOptions) => {
      const { fields } = await import('./fields.ts');
      done(await fields(options));
    });

  const rules = program.command('rules').description('test, explain and measure rules');
  rules
    .command('test')
    .description('run the cases that stand beside rules')
    .argument('[path...]', 'rule files, folders of them, or files of cases')
    .option('-r, --rules <path...>', 'rule files loaded before; `bundled` are those that come with Shikra')
    .addOption(new Option('-f, --format <format>', 'how results are printed').choices(REPORT_FORMATS).default('text'))
    .option('--coverage', 'fail if a rule lacks a case that expects it or one that expects it not')
    .option('-v, --verbose', 'name the cases that passed too')
    .addHelpText('after', TEST_HELP)
    .action(async (paths: string[], options: RulesTestOptions) => {
      const { rulesTest } = await import('./rules-test.ts');
      done(await rulesTest(paths, options));
    });

  rules
    .command('explain')
    .description('say what a rule is made of: its condition with macros put in, fields, lists, exceptions')
    .argument('<name>', 'the name of the rule')
    .argument('[path...]', 'rule files, folders of them, or `bundled`')
    .option('--json', 'print JSON')
    .addHelpText('after', EXPLAIN_HELP)
    .action(async (name: string, paths: string[], options: RulesExplainOptions) => {
      const { rulesExplain } = await import('./rules-explain.ts');
      done(await rulesExplain(name, paths, options));
    });
  rules
    .command('list')
    .description('list rules: whether they are on, priority, source, name, tags')
    .argument('[path...]', 'rule files, folders of them, or `bundled`')
    .option('--json', 'print JSON')
    .addHelpText('after', LIST_HELP)
    .action(async (paths: string[], options: RulesListOptions) => {
      const { rulesList } = await import('./rules-list.ts');
      done(await rulesList(paths, options));
    });
  rules
    .command('top')
    .description('show which rule of a running agent costs what')
    .option('-c, --config <file>', 'the configuration of the agent: where it serves its metrics')
    .option('--url <url>', 'where the metrics are served (default: http://127.0.0.1:8765/metrics)', url)
    .option('-i, --interval <seconds>', 'how long events are looked at each time', above0, 5)
    .option('-n, --count <number>', 'how many intervals (default: until stopped)', whole)
    .option('--once', 'one interval, the same as --count 1')
    .option(
      '-l, --limit <number>',
      'how many rules are shown (default: as many as fit on the terminal, else all)',
      whole,
    )
    .addOption(
      new Option('-s, --sort <key>', 'by the time in all, the time of one evaluation, evaluations or matches')
        .choices(['time', 'per-evaluation', 'evaluations', 'matches'])
        .default('time'),
    )
    .option('--json', 'print JSON, a line for each interval')
    .addHelpText('after', TOP_HELP)
    .action(async (options: RulesTopOptions) => {
      const { rulesTop } = await import('./rules-top.ts');
      done(await rulesTop(options));
    });
  rules
    .command('schema')
    .description('print the JSON Schema of rule files')
    .addHelpText('after', SCHEMA_HELP)
    .action(async () => {
      const { rulesJsonSchema } = await import('../rules/schema.ts');
      console.log(JSON.stringify(rulesJsonSchema(), null, 2));
    });
}

function above0(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new InvalidArgumentError('Expected a number above 0.');
}

function whole(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isInteger(number)) return number;
  throw new InvalidArgumentError('Expected a whole number above 0.');
}

function url(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError('Expected a URL such as http://127.0.0.1:8765/metrics.');
}
