/** Bits that stay in a small integer, and leave one. */
export const BITS = 30;

/** Conditions that are narrowed down together. */
export interface Group {
  /** Tests them, with `begin` called before. */
  readonly code: string;
  /** Those from which some of them follow. */
  readonly subjects: readonly number[];
  /** A bit for each condition. */
  readonly all: number;
}

/** What an evaluator is put together from. */
export interface SourceParts {
  /** Of the constants `c0`, `c1`, ... that the code names. */
  readonly constantCount: number;
  /** The words `k`, `v` of what is remembered for the event, and the words `m` of what was read of it. */
  readonly rememberedWords: readonly number[];
  readonly fieldWords: readonly number[];
  /** Numbers of the fields that are kept for the event, in `f`. */
  readonly cachedFields: readonly number[];
  readonly functions: readonly string[];
  /** What events share: how many words are kept with it, in `q`, and which constant finds it. */
  readonly subjects: readonly { readonly id: number; readonly words: number; readonly find: string }[];
  /** Where the words are kept: of the rule set, and of the evaluator in it. */
  readonly generation: number;
  readonly evaluator: number;
  /** In the order of their conditions. */
  readonly groups: readonly Group[];
  /** The number of each condition that is tested. */
  readonly rules: readonly number[];
}

/** The text of an evaluator: a function's body that makes what {@link GeneratedEvaluator} says. */
export function evaluatorSource(parts: SourceParts): string {
  const { constantCount, rememberedWords, fieldWords, cachedFields, functions, subjects, groups, rules } = parts;
  const masks = [
    ...rememberedWords.flatMap((word) => [`k${word}`, `v${word}`]),
    ...fieldWords.map((word) => `m${word}`),
  ];
  const place = `${parts.generation}, ${parts.evaluator}`;
  const find = subjects.map(
    ({ id, find, words }) =>
      `  const s${id} = ${find}(event), a${id} = s${id} === undefined ? z${id}.fill(0) : s${id}.of(${place}, ${words});`,
  );
  const answers = subjects.map(({ id }) => `, a${id}`).join('');
  const start = [...find, `  begin(event${answers});`];
  return [
    '"use strict";',
    ...Array.from({ length: constantCount }, (_, index) => `const c${index} = constants[${index}];`),
    'let e;',
    ...masks.map((mask) => `let ${mask} = 0;`),
    ...subjects.map(({ id, words }) => `let q${id}; const z${id} = new Array(${words}).fill(0);`),
    ...cachedFields.map((id) => `let f${id};`),
    ...functions,
    `function begin(event${answers}) {`,
    '  e = event;',
    ...masks.map((mask) => `  ${mask} = 0;`),
    ...subjects.map(({ id }) => `  q${id} = a${id};`),
    '}',
    `function search(event, from${answers}) {`,
    '  let c;',
    `  begin(event${answers});`,
    ...groups.map(({ code }) => code),
    '  return -1;',
    '}',
    // Most events end here: what is known of their path and program leaves no condition that could hold. It is small enough to be part of its caller.
    'function evaluate(event, from) {',
    ...find,
    ...atOnce(groups),
    `  return search(event, from${answers});`,
    '}',
    `const groups = [${groups.map((_, group) => `G${group}`).join(', ')}];`,
    `const numbers = [${rules.join(', ')}];`,
    `const tests = [${rules.map((index) => `r${index}`).join(', ')}];`,
    ...MEASURE_HEAD,
    ...start,
    ...MEASURE_BODY,
    'function* rehearse(event) {',
    ...start,
    ...REHEARSE_BODY,
    'return { evaluate, measure, rehearse };',
  ].join('\n');
}

/** Ends the search before it begins if the words of the groups leave nothing to search. */
function atOnce(groups: readonly Group[]): string[] {
  if (groups.some(({ subjects }) => subjects.length === 0)) return [];
  const tests = groups.map(({ subjects, all }, group) => {
    const words = subjects.map((subject) => `a${subject}[${group}]`);
    return `((${words.join(' | ')}) & ${all}) === ${all}`;
  });
  return [`  if (${tests.join(' && ')}) return -1;`];
}

/** What takes longer was most likely another thread's turn, and must not count a thousandfold for the rule that met it. */
const LONGEST_MILLIS = 0.02;
/** The way of `evaluate`, with a look at the clock at every turn. What is decided for a group at once counts for its rules in equal parts. */
const MEASURE_HEAD = [
  'function since(started, meter) {',
  `  return Math.max(0, Math.min(now() - started - overhead, ${LONGEST_MILLIS})) * meter.weight * 1e-3;`,
  '}',
  'function measure(event, from, meter) {',
];
const MEASURE_BODY = [
  '  for (let group = 0; group < groups.length; group++) {',
  `    const first = group * ${BITS};`,
  `    const end = Math.min(first + ${BITS}, tests.length);`,
  '    const started = now();',
  '    const c = groups[group]();',
  '    const share = since(started, meter) / (end - first);',
  '    for (let i = first; i < end; i++) {',
  '      const number = numbers[i];',
  '      meter.seconds[number] += share;',
  '      if (from === 0) meter.evaluations[number] += meter.weight;',
  '    }',
  '    for (let i = first; i < end; i++) {',
  '      const number = numbers[i];',
  '      if ((c & (1 << (i - first))) === 0 || number < from) continue;',
  '      const started = now();',
  '      const holds = tests[i]();',
  '      meter.seconds[number] += since(started, meter);',
  '      if (holds) return number;',
  '    }',
  '  }',
  '  return -1;',
  '}',
];

const REHEARSE_BODY = [
  '  for (let group = 0; group < groups.length; group++) {',
  '    const c = groups[group]();',
  '    yield;',
  `    for (let i = 0; i < ${BITS}; i++) {`,
  '      if ((c & (1 << i)) === 0) continue;',
  `      tests[group * ${BITS} + i]();`,
  '      yield;',
  '    }',
  '  }',
  '}',
];
