import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { shikra } from './run-shikra.ts';

test('run --dry-run prints the graph, warnings apart, and touches nothing', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'shikra.yaml');
  writeFileSync(
    file,
    `exporters:
  slack/security: { webhook_url: "https://hooks.slack.com/secret", filter: { min_priority: critical } }
  pagerduty: { routing_key_file: /does/not/exist }
service:
  store: { path: ${folder}/deep/s.db }
  pipelines:
    logs: { receivers: [kernel], exporters: [slack/security] }
`,
  );
  const { code, stdout, stderr } = shikra(['run', '--dry-run', '-c', file]);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `logs
  receivers   kernel
  processors  none
  store       ${folder}/deep/s.db
  exporters   slack/security  Critical or worse
`,
  );
  assert.equal(stderr, `shikra: warning: ${file}:3:3: exporters.pagerduty: defined, but no pipeline uses it\n`);
  assert.ok(!existsSync(join(folder, 'deep')));
});

test('run --dry-run refuses what run refuses', () => {
  const { code, stderr } = shikra(['run', '--dry-run', '-c', '/does/not/exist.yaml']);
  assert.equal(code, 2);
  assert.match(stderr, /CONFIG_UNREADABLE/);
});
