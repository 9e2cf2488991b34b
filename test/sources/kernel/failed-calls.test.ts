/** Failed calls that no rule can match stay in the kernel: the law is that none that a rule matches does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { onFailedCall } from '../../../collector/sources/kernel/failed-calls.ts';
import { loadRules } from '../../../rules/index.ts';
import { resolver, rulesetOf, ruleText } from '../../rules/helper.ts';
import { interpret, type TestEvent } from '../../rules/interpret.ts';

const TYPE = 'openat';

function couldMatchFailed(condition: string, type = TYPE): boolean {
  return rulesetOf(ruleText(condition), resolver).couldMatch(type, (check) => onFailedCall(check, type));
}

const NEVER = [
  'evt.rawres >= 0',
  'evt.rawres > -1',
  'evt.rawres = 3',
  'evt.rawres in (0, 3)',
  'evt.rawres < -4095',
  'evt.res = SUCCESS',
  'evt.failed = false',
  'evt.failed != true',
  'not evt.failed = true',
  'not evt.rawres < 0',
  'fd.num >= 0',
  "fd.typechar = 'f'",
  'fd.type exists',
  'shikra.evt.abi = x32',
  'fd.name = /etc/shadow and (evt.rawres > 0 or fd.num > 0)',
];
const PERHAPS = [
  'fd.name = /etc/shadow',
  'evt.rawres < 0',
  'evt.rawres >= -2',
  'evt.rawres = -2',
  'evt.rawres != 0',
  'evt.rawres in (0, -13)',
  'evt.res != SUCCESS',
  'evt.res in (SUCCESS, EACCES)',
  'evt.failed = true',
  'fd.num < 0',
  'not fd.num >= 0',
  'shikra.evt.abi != x32',
  'fd.name = /etc/shadow and (evt.rawres > 0 or evt.res = EACCES)',
];

describe('of calls that failed', () => {
  for (const condition of NEVER)
    test(`none can meet: ${condition}`, () => assert.equal(couldMatchFailed(condition), false));
  for (const condition of PERHAPS)
    test(`some can meet: ${condition}`, () => assert.equal(couldMatchFailed(condition), true));
});

test('the descriptor of a failed call that does not open one is what the caller gave', () => {
  assert.equal(couldMatchFailed('fd.num >= 0', 'connect'), true);
  assert.equal(couldMatchFailed("fd.typechar = '4'", 'connect'), true);
});

test('one rule that asks for failed calls is enough', () => {
  const text = [ruleText('evt.rawres >= 0'), ruleText('evt.res = EACCES').replace('rule: R', 'rule: S')].join('');
  assert.equal(
    rulesetOf(text, resolver).couldMatch(TYPE, (check) => onFailedCall(check, TYPE)),
    true,
  );
});

const number = fc.constantFrom('-4096', '-4095', '-13', '-2', '-1', '0', '1', '3');
const check = fc.oneof(
  fc
    .tuple(fc.constantFrom('evt.rawres', 'fd.num'), fc.constantFrom('=', '!=', '<', '<=', '>', '>='), number)
    .map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('evt.rawres', 'fd.num'), fc.array(number, { minLength: 1, maxLength: 3 }))
    .map(([field, values]) => `${field} in (${values.join(', ')})`),
  fc
    .tuple(fc.constantFrom('=', '!='), fc.constantFrom('SUCCESS', 'EACCES', 'ENOENT'))
    .map(([operator, value]) => `evt.res ${operator} ${value}`),
  fc
    .array(fc.constantFrom('SUCCESS', 'EACCES'), { minLength: 1, maxLength: 2 })
    .map((values) => `evt.res in (${values.join(', ')})`),
  fc
    .tuple(
      fc.constantFrom('evt.failed', 'evt.is_open_read'),
      fc.constantFrom('=', '!='),
      fc.constantFrom('true', 'false'),
    )
    .map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('=', '!='), fc.constantFrom("'f'", "'d'"))
    .map(([operator, value]) => `fd.typechar ${operator} ${value}`),
  fc
    .tuple(fc.constantFrom('=', '!='), fc.constantFrom('x32', 'native'))
    .map(([operator, value]) => `shikra.evt.abi ${operator} ${value}`),
  fc.constantFrom('fd.name = a', 'fd.name exists', 'fd.typechar exists', 'evt.rawres exists'),
);
const condition = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 4 },
    check,
    tie('condition').map((inner) => `not (${inner})`),
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => `(${a} and ${b})`),
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => `(${a} or ${b})`),
  ),
})).condition;

const ERRORS: readonly (readonly [number, string])[] = [
  [-1, 'EPERM'],
  [-2, 'ENOENT'],
  [-13, 'EACCES'],
  [-4095, 'E4095'],
];
/** As the kernel source gives them. */
const failedOpen: fc.Arbitrary<TestEvent> = fc
  .tuple(fc.constantFrom(...ERRORS), fc.boolean(), fc.constantFrom('a', 'b'), fc.constantFrom('native', 'compat'))
  .map(([[result, name], read, path, abi]) => ({
    'evt.type': TYPE,
    'evt.rawres': result,
    'evt.res': name,
    'evt.failed': true,
    'fd.num': result,
    'evt.is_open_read': read,
    'fd.name': path,
    'shikra.evt.abi': abi,
  }));

test('no failed call that a rule matches is left in the kernel', () => {
  fc.assert(
    fc.property(condition, failedOpen, (text, event) => {
      const { rules } = loadRules([{ path: 'rules.yaml', text: ruleText(text) }]);
      const [rule] = rules;
      assert.ok(rule, text);
      if (interpret(rule.condition, event)) assert.equal(couldMatchFailed(text), true);
    }),
    { numRuns: 3000 },
  );
});
