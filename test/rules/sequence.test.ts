import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createState, MOST_KEYS, type RuleMemory } from '../../rules/language/memory.ts';
import { load, problemsOf } from './helper.ts';

const keyOf = () => '';
const threshold = (count: number, windowNs: number): RuleMemory<never> => ({
  kind: 'threshold',
  count,
  windowNs,
  keyOf,
  signature: '',
});
const sequence = (steps: number, withinNs: number): RuleMemory<never> => ({
  kind: 'sequence',
  steps,
  withinNs,
  keyOf,
  signature: '',
});

interface Match {
  readonly key: string;
  readonly timeNs: number;
  /** Numbers of the steps that the event is; for thresholds nothing. */
  readonly steps: readonly number[];
}

/** Events of a few keys whose times grow by a little, most of the time. */
const matches = (steps: number): fc.Arbitrary<Match[]> =>
  fc
    .array(
      fc.record({
        key: fc.constantFrom('a', 'b'),
        gap: fc.integer({ min: 0, max: 6 }),
        steps: fc.uniqueArray(fc.integer({ min: 0, max: steps - 1 }), { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 40 },
    )
    .map((events) => {
      let timeNs = 0;
      return events.map(({ key, gap, steps: each }) => {
        timeNs += gap;
        return { key, timeNs, steps: each };
      });
    });

/** Looks at all events of a key anew each time. */
function naiveThreshold(count: number, windowNs: number, events: readonly Match[]): boolean[] {
  const firedAt = new Map<string, number>();
  return events.map(({ key, timeNs }, index) => {
    const recent = events.slice(0, index + 1).filter((other) => other.key === key && timeNs - other.timeNs <= windowNs);
    const quiet = timeNs < (firedAt.get(key) ?? Number.NEGATIVE_INFINITY) + windowNs;
    if (recent.length < count || quiet) return false;
    firedAt.set(key, timeNs);
    return true;
  });
}

/** Looks for a way through all steps that ends at the event and began after the last detection. */
function naiveSequence(steps: number, withinNs: number, events: readonly Match[]): boolean[] {
  const firedAt = new Map<string, number>();
  return events.map((last, index) => {
    if (!last.steps.includes(steps - 1)) return false;
    const from = firedAt.get(last.key) ?? 0;
    const ends = (step: number, before: number): boolean => {
      for (let i = before - 1; i >= from; i--) {
        const event = events[i]!;
        if (event.key !== last.key || !event.steps.includes(step)) continue;
        if (step > 0 ? ends(step - 1, i) : last.timeNs - event.timeNs <= withinNs) return true;
      }
      return false;
    };
    if (!ends(steps - 2, index)) return false;
    firedAt.set(last.key, index);
    return true;
  });
}

describe('a threshold', () => {
  it('fires as one that keeps every event would', () => {
    const parameters = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 12 }));
    fc.assert(
      fc.property(parameters, matches(1), ([count, windowNs], events) => {
        const state = createState(threshold(count, windowNs));
        const fired = events.map(({ key, timeNs }) => state.match(key, timeNs, undefined) > 0);
        assert.deepEqual(fired, naiveThreshold(count, windowNs, events));
      }),
      { numRuns: 2000 },
    );
  });

  it('tells how many matches there were since the last time', () => {
    const state = createState(threshold(3, 10));
    const counts = [0, 1, 2, 3, 4, 11, 12, 13].map((time) => state.match('k', time, undefined));
    assert.deepEqual(counts, [0, 0, 3, 0, 0, 0, 4, 0]);
  });

  it('counts each key by itself', () => {
    const state = createState(threshold(2, 10));
    assert.deepEqual(
      ['a', 'b', 'a', 'b'].map((key) => state.match(key, 1, undefined)),
      [0, 0, 2, 2],
    );
  });

  it('takes a time that goes back for the last one', () => {
    const state = createState(threshold(2, 10));
    assert.deepEqual(
      [100, 50, 115].map((time) => state.match('k', time, undefined)),
      [0, 2, 0],
    );
  });
});

describe('a sequence', () => {
  it('fires as one that keeps every event would', () => {
    const parameters = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 15 }));
    const cases = parameters.chain(([steps, withinNs]) =>
      fc.tuple(fc.constant(steps), fc.constant(withinNs), matches(steps)),
    );
    fc.assert(
      fc.property(cases, ([steps, withinNs, events]) => {
        const state = createState(sequence(steps, withinNs));
        const fired = events.map(({ key, timeNs, steps: found }) => {
          // as the engine does: the last step, then the others from the last to the first
          const last = found.includes(steps - 1) && state.match(key, timeNs, undefined) > 0;
          for (const step of found.filter((each) => each < steps - 1).sort((a, b) => b - a))
            state.match(key, timeNs, step);
          return last;
        });
        assert.deepEqual(fired, naiveSequence(steps, withinNs, events));
      }),
      { numRuns: 3000 },
    );
  });

  it('remembers nothing of what leads nowhere', () => {
    const state = createState(sequence(3, 10));
    assert.equal(state.match('k', 1, 1), 0);
    assert.equal(state.match('k', 1, undefined), 0);
    assert.equal(state.size, 0);
  });
});

describe('what is remembered', () => {
  for (const [name, memory] of Object.entries({ threshold: threshold(5, 1e9), sequence: sequence(2, 1e9) })) {
    it(`is bounded, the oldest goes first and is counted: ${name}`, () => {
      const state = createState(memory);
      for (let i = 0; i < MOST_KEYS + 500; i++) state.match(`k${i}`, i, 0);
      assert.deepEqual([state.size, state.evicted], [MOST_KEYS, 500]);
    });

    it(`goes when its time is over, which is not counted: ${name}`, () => {
      const state = createState(memory);
      for (let i = 0; i < 1000; i++) state.match(`k${i}`, i, 0);
      for (let i = 0; i < 1000; i++) state.match('one', 3e9, 0);
      assert.deepEqual([state.size, state.evicted], [1, 0]);
    });
  }

  it('is bounded in bytes too: a large count leaves room for fewer keys', () => {
    const state = createState(threshold(100_000, 1e9));
    for (let i = 0; i < 100; i++) state.match(`k${i}`, i, undefined);
    assert.deepEqual([state.size, state.evicted], [10, 90]);
  });
});

const HEAD = '- rule: R\n  desc: d\n  output: o %shikra.count\n  priority: INFO\n';
const OPEN = '  condition: evt.type = open\n';

describe('mistakes in rules over several events', () => {
  const first = (text: string) =>
    problemsOf(HEAD + text).map((problem) => problem.split('\n')[0]!.replace(/ LOAD_\w+: rule 'R'/, ''));
  const TABLE: [text: string, expected: string[]][] = [
    [`${OPEN}  threshold: {count: 3, window: 10s}\n`, []],
    [`${OPEN}  threshold: {count: 3, window: 10s, by: proc.sid}\n`, []],
    [`${OPEN}  threshold: {count: 3, window: 1.5m, by: [proc.sid, "tolower(proc.name)"]}\n`, []],
    [
      `${OPEN}  threshold: 3\n`,
      ["rules.yaml:6:14: error: 'threshold' is not a mapping; expected {count: 10, window: 1m, by: [proc.sid]}"],
    ],
    [
      `${OPEN}  threshold: {count: 0, window: soon, bye: [proc.sid]}\n`,
      [
        "rules.yaml:6:22: error: 'threshold.count' is not valid: '0'; expected an integer from 1 to 100000",
        "rules.yaml:6:33: error: 'threshold.window' is not valid: 'soon'; expected a duration of at most 1d, such as 500ms, 30s or 5m",
        "rules.yaml:6:39: error: unknown key 'bye' in 'threshold'; expected one of count window by; did you mean 'by'?",
      ],
    ],
    [
      `${OPEN}  threshold: {by: [proc.sidd, fd.ip, "a b"]}\n`,
      [
        "rules.yaml:6:14: error: 'threshold.count' is missing; expected an integer from 1 to 100000",
        "rules.yaml:6:14: error: 'threshold.window' is missing; expected a duration of at most 1d, such as 500ms, 30s or 5m",
        "rules.yaml:6:20: error: nonexistent field 'proc.sidd'; did you mean 'proc.sid' or 'proc.pid' or 'proc.apid'?",
        "rules.yaml:6:31: error: 'fd.ip' has several values: events cannot belong together by it; expected a field with one value",
        "rules.yaml:6:38: error: 'a b' is not a field",
      ],
    ],
    [
      `${OPEN}  threshold: {count: 2, window: 1s}\n  sequence: {within: 1s, steps: []}\n`,
      [
        "rules.yaml:7:3: error: a rule cannot have both 'threshold' and 'sequence'; expected two rules",
        "rules.yaml:7:33: error: 'sequence.steps' has 0 steps; expected 1 to 10 steps, before the condition of the rule: - condition: ...",
      ],
    ],
    [
      `${OPEN}  sequence: {within: 1s, steps: []}\n`,
      [
        "rules.yaml:6:33: error: 'sequence.steps' has 0 steps; expected 1 to 10 steps, before the condition of the rule: - condition: ...",
      ],
    ],
    [
      '  sequence: {within: 1s, steps: [{condition: evt.type = open}]}\n',
      ["rules.yaml:5:33: error: 'sequence.steps' has 1 steps; expected 2 to 10 steps: - condition: ..."],
    ],
    [
      `${OPEN}  sequence:\n    within: 1s\n    steps:\n      - condition: evt.type = open and proc.nam = x\n      - {}\n      - condition: nothing\n`,
      [
        "rules.yaml:9:40: error: nonexistent field 'proc.nam'; did you mean 'proc.name' or 'proc.aname' or 'proc.pname'?",
        "rules.yaml:10:9: error: a step has no 'condition'; expected - condition: ...",
        "rules.yaml:11:20: error: undefined macro 'nothing' used in filter",
      ],
    ],
    [
      `${OPEN}  sequence:\n    within: 1s\n    steps:\n      - condition: evt.type = open and proc.nam = x\n      - condition: nothing\n`,
      [
        "rules.yaml:9:40: error: nonexistent field 'proc.nam'; did you mean 'proc.name' or 'proc.aname' or 'proc.pname'?",
        "rules.yaml:10:20: error: undefined macro 'nothing' used in filter",
      ],
    ],
    [
      `${OPEN}  sequence:\n    within: 1s\n    steps:\n      - condition: evt.type = open\n`,
      [
        'rules.yaml:9:20: error: the last step says what the condition of the rule says, which comes after it; expected no condition beside the steps, or steps without the last',
      ],
    ],
    ['  threshold: {count: 2, window: 1s}\n', ["rules.yaml:1:9: error: rule 'R' has no 'condition'"]],
  ];
  for (const [text, expected] of TABLE)
    it(`${text.replace(OPEN, '').trim().replaceAll(/\s+/g, ' ')}: ${expected.length === 0 ? 'none' : expected.length}`, () =>
      assert.deepEqual(first(text), expected));

  it('warn where a step restricts no event type', () => {
    const [problem] = first(`${OPEN}  sequence: {within: 1s, steps: [{condition: proc.name = x}]}\n`);
    assert.match(problem!, /warning: the rule matches too many event types/);
  });

  it('can be changed by an override', () => {
    const text = `${HEAD}${OPEN}  threshold: {count: 3, window: 10s}\n- rule: R\n  threshold: {count: 5, window: 1m}\n  override: {threshold: replace}\n`;
    const { rules, problems } = load(text);
    assert.deepEqual(problems, []);
    assert.deepEqual([rules[0]!.threshold!.count, rules[0]!.threshold!.windowNs], [5, 60e9]);
  });
});
