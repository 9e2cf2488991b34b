import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { formatProblem, type LoadResult, loadRules } from '../../rules/index.ts';
import { MODIFIERS, OPERATORS, TRANSFORMERS } from '../../rules/language/ast.ts';
import { readCases } from '../../rules/testing/read-cases.ts';
import { runCases, uncovered } from '../../rules/testing/run-cases.ts';

/** What a page shows as YAML. */
function shown(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!);
}

function load(...texts: string[]): LoadResult {
  return loadRules(texts.map((text, index) => ({ path: `${index}.yaml`, text })));
}

describe('docs/rules.md', () => {
  const [rules = '', tuning = '', names = '', several = '', cases = ''] = shown('docs/rules.md');

  it('shows rules without a mistake, and how to tune them', () => {
    assert.deepEqual(load(rules).problems.map(formatProblem), []);
    assert.deepEqual(load(names).problems.map(formatProblem), []);
    assert.deepEqual(load(several).problems.map(formatProblem), []);
    const tuned = load(rules, tuning);
    assert.deepEqual(tuned.problems.map(formatProblem), []);
    assert.ok(tuned.rules[0]!.conditionText.includes('nightly.sh'));
  });

  it('shows cases of these rules that pass', () => {
    const sudo = runCases(load(rules).rules, [{ path: 'cases.yaml', text: cases }]);
    assert.deepEqual(sudo.problems.map(formatProblem), []);
    assert.deepEqual(
      sudo.results.flatMap(({ failures }) => failures),
      [],
    );
    assert.deepEqual(uncovered(sudo.coverage), []);
  });

  it('shows the mistake as it is printed', () => {
    const misspelt = rules.replace('condition: file_read and', 'condition: file_raed and');
    const { problems } = loadRules([{ path: 'my_rules.yaml', text: misspelt }]);
    const mistake = problems.find(({ severity }) => severity === 'error')!;
    const [head, ...lines] = formatProblem(mistake).split('\n');
    const page = readFileSync('docs/rules.md', 'utf8');
    for (const line of [head!.replace(/^\S+/, ''), ...lines]) assert.ok(page.includes(line), line);
  });
});

describe('docs/rule-tests.md', () => {
  it('shows cases in the form that is read', () => {
    for (const text of shown('docs/rule-tests.md')) {
      const names = [...text.matchAll(/(?:expect|expect_not): \[?([A-Z][^\]\n,}]*)/g)].map(([, name]) => name!);
      const { problems } = readCases('page.yaml', text, { rules: new Set(names), eventArguments: new Set() });
      assert.deepEqual(problems.map(formatProblem), []);
    }
  });
});

describe('docs/falco-compatibility.md', () => {
  it('has every operator, modifier and transformer', () => {
    const page = readFileSync('docs/falco-compatibility.md', 'utf8');
    for (const name of [...OPERATORS, ...MODIFIERS]) assert.ok(page.includes(`\`${name}\``), name);
    for (const name of TRANSFORMERS) assert.ok(page.includes(`\`${name}(`), name);
  });
});
