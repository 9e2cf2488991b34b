import { type Command, Option } from 'commander';
import { REPORT_FORMATS } from '../rules/testing/report-formats.ts';
import type { RulesTestOptions } from './rules-test.ts';

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

/** Registers the commands about rules. @param done is told the exit code of the one that ran */
export function addRulesCommands(program: Command, done: (exitCode: number) => void): void {
  const rules = program.command('rules').description('test and explain rules');
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
}
