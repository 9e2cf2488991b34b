import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { FieldResolver } from '../../rules/index.ts';
import { resolver, resolverWithSubjects, rulesetOf, ruleText, typedCondition } from './helper.ts';
import { interpret, type TestEvent } from './interpret.ts';

const name = fc.constantFrom('a', 'b', 'ab', 'abc', '/a', '/a/b', '', 'A');
const nonEmpty = name.filter((value) => value !== '');
const quoted = name.map((value) => `"${value}"`);
const number = fc.constantFrom('-1', '0', '1', '2', '3', '0x3');
const address = fc.constantFrom('10.0.0.1', '10.1.0.1', '::1', '192.168.0.1');
const listOf = (value: fc.Arbitrary<string>) =>
  fc.array(value, { minLength: 1, maxLength: 5 }).map((items) => `(${items.join(', ')})`);
const textField = fc.constantFrom(
  'proc.name',
  'fd.name',
  'proc.env[X]',
  'proc.aname',
  'proc.aname[1]',
  'evt.arg.flags',
  'toupper(proc.name)',
  'basename(fd.name)',
);
const numberField = fc.constantFrom('evt.rawres', 'fd.num', 'proc.vpid');
const portField = fc.constantFrom('fd.port', 'fd.sport');
const port = fc.constantFrom('0', '1', '2', '3');
const check = fc.oneof(
  fc
    .tuple(textField, fc.constantFrom('=', '!=', 'contains', 'icontains', 'startswith', 'endswith', 'glob'), quoted)
    .map((words) => words.join(' ')),
  fc.tuple(textField, fc.constantFrom('in', 'intersects'), listOf(quoted)).map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('proc.name', 'fd.name'), listOf(nonEmpty.map((value) => `"${value}"`)))
    .map(([field, list]) => `${field} pmatch ${list}`),
  fc.tuple(numberField, fc.constantFrom('=', '!=', '<', '<=', '>', '>='), number).map((words) => words.join(' ')),
  fc.tuple(numberField, fc.constantFrom('in', 'intersects'), listOf(number)).map((words) => words.join(' ')),
  fc.tuple(portField, fc.constantFrom('=', '!=', '<', '>='), port).map((words) => words.join(' ')),
  fc.tuple(portField, fc.constantFrom('in', 'intersects'), listOf(port)).map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('fd.sip', 'fd.ip'), fc.constantFrom('=', '!='), address)
    .map(([field, operator, value]) => `${field} ${operator} "${value}"`),
  fc
    .tuple(fc.constantFrom('fd.sip', 'fd.ip'), listOf(address.map((value) => `"${value}"`)))
    .map(([field, list]) => `${field} in ${list}`),
  fc
    .tuple(
      fc.constantFrom('evt.is_open_read', 'evt.is_open_write'),
      fc.constantFrom('=', '!='),
      fc.constantFrom('true', 'false'),
    )
    .map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('=', '!='), fc.constantFrom('open', 'close', 'connect'))
    .map(([operator, type]) => `evt.type ${operator} ${type}`),
  fc.tuple(textField, fc.constantFrom('exists')).map((words) => words.join(' ')),
  fc.constantFrom(
    'proc.name = val(fd.name)',
    'fd.num < val(evt.rawres)',
    'len(proc.name) > 1',
    'ka.req.role.rules in (a, b)',
    'ka.req.role.rules intersects (a, b)',
  ),
);
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    check,
    tie('condition').map((inner) => `not (${inner})`),
    fc
      .tuple(tie('condition'), fc.constantFrom('and', 'or'), tie('condition'))
      .map(([left, word, right]) => `(${left}) ${word} (${right})`),
  ),
}));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 4 });
const integer = fc.oneof(fc.integer({ min: -2, max: 4 }), fc.bigInt({ min: -2n, max: 4n }));
const event = fc
  .record({
    'proc.name': maybe(name),
    'fd.name': maybe(name),
    'proc.env[X]': maybe(name),
    'proc.aname': maybe(fc.array(name, { maxLength: 3 })),
    'proc.aname[1]': maybe(name),
    'evt.arg[flags]': maybe(name),
    'evt.rawres': maybe(integer),
    'fd.num': maybe(integer),
    'fd.port': maybe(fc.tuple(fc.constantFrom('1', '2', '3'), fc.constantFrom('1', '2', '3'))),
    'fd.sport': maybe(fc.integer({ min: 0, max: 4 })),
    'proc.vpid': maybe(integer),
    'fd.sip': maybe(address),
    'fd.ip': maybe(fc.tuple(address, address)),
    'evt.is_open_read': maybe(fc.boolean()),
    'evt.is_open_write': maybe(fc.boolean()),
    'ka.req.role.rules': maybe(fc.array(name, { maxLength: 2 })),
    'evt.type': fc.constantFrom('open', 'close', 'connect'),
  })
  .map((values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as TestEvent);

/** Conditions and events of which the generated code must say what the interpreter says. */
function assertMeansTheSame(resolverOf: () => FieldResolver<TestEvent>, mostEvents: number): void {
  fc.assert(
    fc.property(
      fc.array(condition, { minLength: 1, maxLength: 4 }),
      fc.array(event, { minLength: 1, maxLength: mostEvents }),
      (conditions, events) => {
        const trees = conditions.map(typedCondition);
        const texts = conditions.map((text, index) => ruleText(text).replace('rule: R', `rule: R${index}`));
        const ruleset = rulesetOf(texts.join(''), resolverOf());
        for (const each of events) {
          const expected = trees.flatMap((tree, index) => (interpret(tree, each) ? [index] : []));
          const evaluate = ruleset.evaluator(String(each['evt.type']));
          const found: number[] = [];
          for (let at = evaluate?.(each, 0) ?? -1; at >= 0; at = evaluate!(each, at + 1)) found.push(at);
          assert.deepEqual(found, expected);
        }
      },
    ),
    { numRuns: 500 },
  );
}

describe('the generated code', () => {
  it('means what a plain interpreter of the tree means', () => assertMeansTheSame(() => resolver, 5));

  it('means the same where answers about a path or a program are kept from event to event', () =>
    assertMeansTheSame(resolverWithSubjects, 20));

  it('asks for the fields of a subject once, however many events are about it', () => {
    let reads = 0;
    const from = resolverWithSubjects();
    const counting: FieldResolver<TestEvent> = {
      ...from,
      getter: (field, type) => (each) => {
        if (field.name === 'fd.name') reads++;
        return from.getter(field, type)!(each);
      },
    };
    const evaluate = rulesetOf(
      ruleText('evt.type = open and (fd.name startswith /a or fd.name = /b)'),
      counting,
    ).evaluator('open')!;
    assert.deepEqual(
      [1, 2, 3].map(() => evaluate({ 'evt.type': 'open', 'fd.name': '/x' }, 0)),
      [-1, -1, -1],
    );
    assert.equal(reads, 1);
    assert.equal(evaluate({ 'evt.type': 'open', 'fd.name': '/a' }, 0), 0);
    assert.equal(reads, 2);
  });

  it('forgets the answers of rules that were replaced', () => {
    const from = resolverWithSubjects();
    const about = { 'evt.type': 'open', 'fd.name': '/a' };
    assert.equal(rulesetOf(ruleText('fd.name = /a'), from).evaluator('open')!(about, 0), 0);
    assert.equal(rulesetOf(ruleText('fd.name = /b'), from).evaluator('open')!(about, 0), -1);
  });
});
