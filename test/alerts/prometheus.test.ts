import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AGENT_SCENARIOS } from './agent-scenarios.ts';
import { DETECTION_SCENARIOS } from './detection-scenarios.ts';
import { NO_PROMTOOL, RULES, rulesIn, runPromtool, runScenario } from './promtool.ts';

const SCENARIOS = [...DETECTION_SCENARIOS, ...AGENT_SCENARIOS];

describe("Prometheus' own engine", { skip: NO_PROMTOOL }, () => {
  for (const scenario of SCENARIOS) it(`${scenario.alert} ${scenario.title}`, () => runScenario(scenario));

  it('takes the rules without a warning', () => {
    assert.match(runPromtool('check', 'rules', '--lint=all', '--lint-fatal', RULES), /SUCCESS: 17 rules found/);
  });
});

for (const { alert } of rulesIn(RULES)) {
  it(`${alert} is shown to fire, not to fire, and to resolve`, () => {
    const titles = SCENARIOS.filter((scenario) => scenario.alert === alert).map(({ title }) => title);
    for (const what of [/^fires/, /^does not fire/, /resolves/])
      assert.ok(
        titles.some((title) => what.test(title)),
        `no scenario ${what}`,
      );
  });
}
