import assert from 'node:assert/strict';
import { it } from 'node:test';
import { loadRules, type RuleSelection } from '../../rules/index.ts';
import { ruleText } from './helper.ts';

const rule = (name: string, tags: string, extra = '') =>
  ruleText('evt.type = open', `  tags: [${tags}]\n${extra}`).replace('rule: R', `rule: ${name}`);
const TEXT = `${rule('Netcat in container', 'network, a')}${rule('Netcat', 'network')}${rule('What (now)?', 'b')}${rule('Off', 'a', '  enabled: false\n')}`;

const TABLE: [selection: RuleSelection[], enabled: string[]][] = [
  [[], ['Netcat in container', 'Netcat', 'What (now)?']],
  [[{ disable: { tag: 'network' } }], ['What (now)?']],
  [[{ disable: { tag: 'net' } }], ['Netcat in container', 'Netcat', 'What (now)?']],
  [
    [{ disable: { rule: 'Net*' } }, { enable: { rule: '*container' } }],
    ['Netcat in container', 'What (now)?'],
  ],
  [[{ enable: { rule: '*container' } }, { disable: { rule: 'Net*' } }], ['What (now)?']],
  [[{ disable: { rule: 'Netcat' } }], ['Netcat in container', 'What (now)?']],
  [
    [{ disable: { rule: '*' } }, { enable: { rule: 'What (now)?', tag: 'a' } }],
    ['Netcat in container', 'What (now)?', 'Off'],
  ],
  [[{ disable: { rule: '*a*n*' } }], ['Netcat']],
];
for (const [selection, enabled] of TABLE) {
  it(`${JSON.stringify(selection)} leaves ${enabled.join(', ')}`, () => {
    const { rules } = loadRules([{ path: 'r.yaml', text: TEXT }], { selection });
    assert.deepEqual(
      rules.filter((each) => each.enabled).map(({ name }) => name),
      enabled,
    );
  });
}

it('a choice that chooses nothing is warned of', () => {
  const { problems } = loadRules([{ path: 'r.yaml', text: TEXT }], { selection: [{ disable: { rule: 'Nectat*' } }] });
  assert.deepEqual(
    problems.map(({ code, message, file }) => [code, file, message]),
    [['LOAD_SELECTS_NOTHING', 'configuration: rules[0]', 'no rule is chosen by {"disable":{"rule":"Nectat*"}}']],
  );
});
