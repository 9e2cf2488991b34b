import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { FieldValue } from '../../collector/detection/detection.ts';
import { Engine, type SpelledEvent } from '../../collector/engine/engine.ts';
import { type FieldResolver, loadRules } from '../../rules/index.ts';

const TYPES = ['', 'open', 'execve', 'connect'];

interface TestEvent extends SpelledEvent {
  readonly timeNs: number;
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly paths: readonly string[];
}

const resolver: FieldResolver<TestEvent> = {
  getter({ name }) {
    if (name === 'fd.name') return (event) => event.paths[event.spelling];
    return (event) => event.fields[name];
  },
};

function event(type: string, timeNs: number, fields: Record<string, FieldValue> = {}, paths = ['/x']): TestEvent {
  return { type: TYPES.indexOf(type), timeNs, fields, paths, spellings: paths.length, spelling: 0 };
}

function rule(name: string, body: string): string {
  return `- rule: ${name}\n  desc: d\n  output: "${name} %proc.name %fd.name %shikra.count"\n  priority: INFO\n${body}`;
}

function engineOf(text: string, matching: 'first' | 'all' = 'first', fields = resolver): Engine<TestEvent> {
  const { rules, problems } = loadRules([{ path: 'rules.yaml', text }]);
  assert.deepEqual(
    problems.filter(({ severity }) => severity === 'error'),
    [],
  );
  return new Engine({
    rules,
    resolver: fields,
    eventTypeNames: TYPES,
    collected: TYPES.slice(1),
    matching,
    timeNs: (each) => each.timeNs,
  });
}

function outputs(engine: Engine<TestEvent>, events: readonly TestEvent[]): string[] {
  return events.flatMap((each) => {
    const found: string[] = [];
    engine.evaluate(each, (matched, of) => found.push(matched.render(of).output));
    return found;
  });
}

const S = 1e9;
const DOWNLOAD_AND_RUN = rule(
  'Run',
  '  condition: evt.type = execve\n  sequence:\n    within: 30s\n    by: [proc.sid]\n    steps:\n      - condition: evt.type = connect\n      - condition: evt.type = open and fd.name startswith /tmp\n',
);
const MANY_OPENS = rule(
  'Many',
  '  condition: evt.type = open and fd.name startswith /etc\n  threshold: {count: 3, window: 10s, by: [proc.sid]}\n',
);

describe('a rule with a threshold', () => {
  it('fires once for a key that reaches it, and says the count', () => {
    const engine = engineOf(MANY_OPENS);
    const opens = [1, 2, 3, 4, 5].flatMap((second) =>
      [7, 8].map((sid) => event('open', second * S, { 'proc.sid': sid, 'proc.name': 'cat' }, ['/etc/x'])),
    );
    assert.deepEqual(outputs(engine, opens), ['Many cat /etc/x 3', 'Many cat /etc/x 3']);
    assert.deepEqual([...engine.matches], [2]);
    assert.deepEqual(engine.memory(), [{ rule: 0, keys: 2, evicted: 0 }]);
  });

  it('counts an event once, however many spellings of its path match', () => {
    const engine = engineOf(MANY_OPENS);
    const opens = [1, 2, 3].map((second) =>
      event('open', second * S, { 'proc.name': 'cat' }, ['/x', '/etc/x', '/etc/y']),
    );
    assert.deepEqual(outputs(engine, opens), ['Many cat /etc/x 3']);
  });

  it('takes a missing value of a key for a value', () => {
    const engine = engineOf(MANY_OPENS);
    const opens = [1, 2, 3].map((second) =>
      event('open', second * S, second === 2 ? { 'proc.sid': 1 } : {}, ['/etc/x']),
    );
    assert.deepEqual(outputs(engine, opens), []);
    assert.deepEqual(outputs(engine, [event('open', 4 * S, {}, ['/etc/x'])]), ['Many <NA> /etc/x 3']);
  });
});

describe('a rule with a sequence', () => {
  const at = (second: number, type: string, sid: number, path = '/tmp/x') =>
    event(type, second * S, { 'proc.sid': sid, 'proc.name': 'sh' }, [path]);

  it('fires when the last step comes in time, after the others, on the same key', () => {
    const fire = ['Run sh /tmp/x 1'];
    const table: [TestEvent[], string[]][] = [
      [[at(1, 'connect', 7), at(2, 'open', 7), at(3, 'execve', 7)], fire],
      [[at(1, 'connect', 7), at(2, 'open', 7), at(31, 'execve', 7)], fire],
      [[at(1, 'connect', 7), at(2, 'open', 7), at(32, 'execve', 7)], []],
      [[at(1, 'connect', 7), at(2, 'open', 7), at(3, 'execve', 8)], []],
      [[at(1, 'open', 7), at(2, 'connect', 7), at(3, 'execve', 7)], []],
      [[at(1, 'connect', 7), at(3, 'execve', 7), at(4, 'open', 7)], []],
      [[at(1, 'connect', 7), at(2, 'open', 7, '/etc'), at(3, 'execve', 7)], []],
      [[at(1, 'connect', 7), at(2, 'open', 7), at(3, 'execve', 7), at(4, 'execve', 7)], fire],
    ];
    for (const [events, expected] of table) assert.deepEqual(outputs(engineOf(DOWNLOAD_AND_RUN), events), expected);
  });

  it('may hold all its steps itself', () => {
    const text = rule(
      'Run',
      '  sequence: {within: 30s, by: proc.sid, steps: [{condition: evt.type = connect}, {condition: evt.type = execve}]}\n',
    );
    assert.deepEqual(outputs(engineOf(text), [at(1, 'connect', 7), at(2, 'execve', 7)]), ['Run sh /tmp/x 1']);
  });

  it('does not take one event for two steps', () => {
    const text = rule(
      'Twice',
      '  sequence: {within: 30s, steps: [{condition: evt.type = open}, {condition: "evt.type in (open, execve)"}, {condition: "evt.type in (connect, open)"}]}\n',
    );
    assert.deepEqual(outputs(engineOf(text), [at(1, 'open', 1), at(2, 'open', 1)]), []);
    assert.equal(outputs(engineOf(text), [at(1, 'open', 1), at(2, 'open', 1), at(3, 'open', 1)]).length, 1);
  });
});

describe('rules over several events beside others', () => {
  const BESIDE = `${MANY_OPENS}${rule('A', '  condition: evt.type = open and proc.name = cat\n')}${rule('B', '  condition: evt.type = open\n')}`;
  const three = [1, 2, 3].map((second) => event('open', second * S, { 'proc.name': 'cat' }, ['/etc/x']));

  it('see every event, whatever matched before, and their detections come on top', () => {
    const text = (matching: 'first' | 'all') =>
      outputs(engineOf(BESIDE, matching), three).map((output) => output.split(' ')[0]);
    assert.deepEqual(text('first'), ['A', 'A', 'A', 'Many']);
    assert.deepEqual(text('all'), ['A', 'B', 'A', 'B', 'A', 'B', 'Many']);
  });

  it('go on over a reload if they mean the same', () => {
    const before = engineOf(BESIDE);
    outputs(before, three.slice(0, 2));
    const same = engineOf(`${rule('New', '  condition: evt.type = execve\n')}${MANY_OPENS}`).inherit(before);
    assert.deepEqual(outputs(same, three.slice(2)), ['Many cat /etc/x 3']);
    const changed = engineOf(MANY_OPENS.replace('10s', '11s')).inherit(before);
    assert.deepEqual(outputs(changed, three.slice(2)), []);
  });

  it('leave the count of other rules at 1', () => {
    assert.deepEqual(outputs(engineOf(BESIDE), [...three, three[2]!]).at(-1), 'A cat /etc/x 1');
  });
});

describe('compiled in steps', () => {
  it('the engine is the same', () => {
    const { rules } = loadRules([{ path: 'r', text: MANY_OPENS + DOWNLOAD_AND_RUN }]);
    const options = {
      rules,
      resolver,
      eventTypeNames: TYPES,
      collected: TYPES.slice(1),
      matching: 'all',
      timeNs: (each: TestEvent) => each.timeNs,
    } as const;
    const steps = new Engine(options).compile();
    let count = 0;
    let step = steps.next();
    for (; !step.done; count++) step = steps.next();
    assert.ok(count > 5);
    const [stepwise, atOnce] = [step.value, new Engine(options)].map((engine) =>
      TYPES.filter((type) => engine.wants(type)),
    );
    assert.deepEqual(stepwise, atOnce);
  });
});

// The first made-up event after a reload ran the code of all rules for the first time, in one turn: 10 ms and more, while the rings filled.
describe('rehearsed in steps', () => {
  const RULES = 100;
  const text = `${Array.from({ length: RULES }, (_, index) => rule(`R${index}`, `  condition: evt.type = open and proc.name = n${index}\n`)).join('')}${MANY_OPENS}`;
  const real = event('open', S, { 'proc.name': 'n99', 'proc.sid': 1 }, ['/etc/x', '/etc/y']);

  it('an engine stops between its rules, and an event that did not happen leaves nothing', () => {
    const [engine, other] = [engineOf(text, 'all'), engineOf(text, 'all')];
    const steps = [...engine.rehearseInSteps({ ...real }), ...engine.rehearseInSteps({ ...real })];
    assert.ok(steps.length > (2 * RULES) / 30, `${steps.length} steps`);
    engine.rehearse({ ...real });
    assert.deepEqual([...engine.matches], [...other.matches]);
    const events = [real, real, real].map((each, index) => ({ ...each, timeNs: index * S }));
    assert.deepEqual(outputs(engine, events), outputs(other, events));
  });

  it('an event of a type that no rule wants takes no step', () => {
    assert.deepEqual([...engineOf(text).rehearseInSteps(event('connect', S))], []);
  });
});

describe('measured events', () => {
  const TEXT = `${rule('A', '  condition: evt.type = open and proc.name = a\n')}${rule('B', '  condition: evt.type = open and proc.name = b\n')}${rule('C', '  condition: evt.type = execve\n')}${MANY_OPENS}`;

  it('make the same detections as others', () => {
    const events = fc.array(
      fc.record({ name: fc.constantFrom('a', 'b', 'c'), path: fc.constantFrom('/etc/x', '/x') }),
      { minLength: 3000, maxLength: 3000 },
    );
    fc.assert(
      fc.property(events, (list) => {
        const shown = list.map(({ name, path }, index) => event('open', index * S, { 'proc.name': name }, [path]));
        const engine = engineOf(TEXT, 'all');
        outputs(engine, shown);
        const count = (name: string) => list.filter((each) => each.name === name).length;
        assert.deepEqual([...engine.matches].slice(0, 3), [count('a'), count('b'), 0]);
        const costs = engine.costs();
        assert.ok(
          costs[0]!.evaluations >= 2048 && costs[1]!.evaluations === costs[0]!.evaluations,
          JSON.stringify(costs),
        );
        assert.deepEqual(costs[2], { evaluations: 0, seconds: 0 });
      }),
      { numRuns: 5 },
    );
  });

  // It once compared times of this machine, where one turn of another thread in a measured event outweighs what forty of them take.
  it('tell a rule that costs much from one that does not, right in sum', (context) => {
    const [millisOfSlow, count] = [0.018, 400_000];
    let nowMillis = 0;
    context.mock.method(performance, 'now', () => nowMillis);
    const clocked: FieldResolver<TestEvent> = {
      getter: ({ name }) => {
        if (name !== 'proc.cmdline') return (each) => each.fields[name];
        return (each) => {
          nowMillis += millisOfSlow;
          return each.fields[name];
        };
      },
    };
    const text =
      rule('Slow', '  condition: evt.type = open and proc.cmdline contains needle\n') +
      rule('Quick', '  condition: evt.type = open and proc.name = b\n');
    const engine = engineOf(text, 'all', clocked);
    const hay = event('open', 0, { 'proc.name': 'hay', 'proc.cmdline': 'hay' });
    for (let i = 0; i < count; i++) engine.evaluate(hay, () => {});
    const [slow, quick] = engine.costs();
    // A tenth: what events were measured is drawn, and a look at the real clock, which takes less than a microsecond, is taken off.
    const isAbout = (found: number, expected: number) => Math.abs(found / expected - 1) < 0.1;
    assert.ok(isAbout(slow!.evaluations, count) && quick!.evaluations === slow!.evaluations, JSON.stringify(slow));
    assert.ok(isAbout(slow!.seconds, (count * millisOfSlow) / 1000), JSON.stringify(slow));
    assert.equal(quick!.seconds, 0);
  });
});
