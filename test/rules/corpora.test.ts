import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileRuleset, formatProblem, loadRules, readRuleFiles } from '../../rules/index.ts';
import { resolver } from './helper.ts';

/** Falco's own rule files are no part of this repository; they are tested where they lie beside it. */
const FOLDER = fileURLToPath(new URL('../../../shared/corpora/falco-rules', import.meta.url));
const skip = existsSync(FOLDER) ? false : `no rule files at ${FOLDER}`;

const FILES: [string, number][] = [
  ['falco_rules.yaml', 25],
  ['falco-incubating_rules.yaml', 31],
  ['falco-sandbox_rules.yaml', 37],
  ['k8s_audit_rules.yaml', 48],
];

describe("Falco's rule files", { skip }, () => {
  for (const [file, count] of FILES) {
    it(`load unchanged and without a warning: ${file}`, async () => {
      const { files } = await readRuleFiles([join(FOLDER, file)]);
      const { rules, problems } = loadRules(files);
      assert.deepEqual(problems.map(formatProblem), []);
      assert.equal(rules.length, count);
    });
  }

  it('load together, and compile for every event type that they name', async () => {
    const { files } = await readRuleFiles([FOLDER]);
    const { rules, problems } = loadRules(files);
    assert.deepEqual(problems.filter(({ severity }) => severity === 'error').map(formatProblem), []);
    assert.equal(rules.length, 141);
    const types = [...new Set(rules.flatMap(({ eventTypes }) => [...(eventTypes ?? [])]))];
    const syscall = compileRuleset(
      rules.filter(({ source }) => source === 'syscall'),
      resolver,
      types,
    );
    assert.deepEqual(syscall.warnings, []);
    assert.equal(syscall.rules.length, 81);
    // An event without any field matches only what consists of negations.
    const silent = types.filter((type) => (syscall.evaluator(type)?.({}, 0) ?? -1) === -1);
    assert.deepEqual(new Set(types).difference(new Set(silent)), new Set(['setns', 'setuid']));
    const audit = compileRuleset(
      rules.filter(({ source }) => source === 'k8s_audit'),
      resolver,
      ['k8s_audit'],
    );
    assert.equal(audit.matchesAnyType, true);
    assert.equal(audit.evaluator('k8s_audit')!({}, 0), -1);
  });
});
