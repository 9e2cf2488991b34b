/**
 * `node bench/long-lists.ts`: what a list of a hundred thousand items costs beside one of ten, when its rules are loaded and for each event. Loading is timed
 * for each way to write a list down. Prints a table.
 */
import { compileRuleset, type FieldResolver, loadRules } from '../rules/index.ts';
import { SourceFile } from '../rules/language/source.ts';
import { spread } from './statistics.ts';

const LENGTHS = [10, 100_000] as const;
const ROUNDS = 9;
const EVENTS = 2000;

const WAYS: Readonly<Record<string, (items: readonly string[]) => string>> = {
  'a line each': (items) => `- list: big\n  items:\n${items.map((item) => `    - ${item}\n`).join('')}`,
  'between brackets': (items) => `- list: big\n  items: [${items.join(', ')}]\n`,
  'in quotes': (items) => `- list: big\n  items: [${items.map((item) => `"${item}"`).join(',')}]\n`,
};

interface Opened {
  readonly name: string;
}

const folders = (count: number) => Array.from({ length: count }, (_, index) => `/srv/host-${index}.example.com`);

function rulesetOf(list: string, operator: string) {
  const rule = `- rule: R\n  desc: d\n  condition: fd.name ${operator} (big) and evt.type = open\n  output: o\n  priority: INFO\n`;
  const { rules } = loadRules([new SourceFile('long-list.yaml', list + rule)]);
  const fields: FieldResolver<Opened> = { getter: () => (event) => event.name };
  return compileRuleset(rules, fields, ['open']);
}

function median(measure: () => number): number {
  return spread(Array.from({ length: ROUNDS }, measure)).median;
}

function loadMillis(list: string): number {
  const started = performance.now();
  rulesetOf(list, 'in').evaluator('open');
  return performance.now() - started;
}

/** Of events that are not in the list. */
function nanosPerEvent(list: string, operator: string): number {
  const evaluate = rulesetOf(list, operator).evaluator('open')!;
  const events = Array.from({ length: EVENTS }, (_, index) => ({ name: `/srv/other-${index}/file` }));
  return median(() => {
    const started = performance.now();
    for (const event of events) evaluate(event, 0);
    return ((performance.now() - started) * 1e6) / EVENTS;
  });
}

const rows = [
  ...Object.entries(WAYS).map(([way, write]) => ({
    cost: `loading, ${way}, ms`,
    ...Object.fromEntries(
      LENGTHS.map((length) => [`${length} items`, median(() => loadMillis(write(folders(length)))).toFixed(1)]),
    ),
  })),
  ...['in', 'pmatch'].map((operator) => ({
    cost: `an event, ${operator}, ns`,
    ...Object.fromEntries(
      LENGTHS.map((length) => [
        `${length} items`,
        nanosPerEvent(WAYS['a line each']!(folders(length)), operator).toFixed(0),
      ]),
    ),
  })),
];
console.table(rows);
