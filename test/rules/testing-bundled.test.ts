import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readAudit } from '../../cli/audit-reader.ts';
import { bundledRulesPath, formatProblem, loadRules, readRuleFiles } from '../../rules/index.ts';
import { findTestFiles } from '../../rules/testing/find-files.ts';
import { runCases } from '../../rules/testing/run-cases.ts';

test('every case of the bundled rules passes', async () => {
  const { files } = await readRuleFiles([bundledRulesPath()]);
  const { cases } = await findTestFiles([bundledRulesPath()]);
  const texts = cases.map((path) => ({ path, text: readFileSync(path, 'utf8') }));
  const { results, problems } = runCases(loadRules(files).rules, texts, { readAudit });
  assert.deepEqual(problems.map(formatProblem), []);
  assert.ok(results.length > 0);
  const failed = results.filter(({ failures }) => failures.length > 0);
  assert.deepEqual(
    failed.map(({ file, line, title, failures }) => `${file}:${line} ${title}: ${failures.join('; ')}`),
    [],
  );
});
