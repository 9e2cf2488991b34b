import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idleRules } from '../../collector/engine/source-rules.ts';
import { type CheckedRule, loadRules } from '../../rules/index.ts';

const rule = (name: string, source: string, extra = '') =>
  `- {rule: ${name}, desc: d, source: ${source}, condition: evt.num > 0, output: x, priority: INFO${extra}}\n`;

const rules = loadRules([
  { path: '/bundled/a.yaml', text: rule('A', 'syscall') + rule('B', 'k8s_audit') + rule('C', 'k8s_audit') },
  { path: '/own/b.yaml', text: rule('D', 'k8s_audit') + rule('E', 'k8s_audit', ', enabled: false') },
]).rules as readonly CheckedRule[];

test('rules for events that no receiver brings are told, with the remedy', () => {
  assert.deepEqual(idleRules(rules, { source: 'syscall', receivers: { syscall: ['/bundled', '/own/b.yaml'] } }), [
    '3 rules for Kubernetes audit events are checked, and never fire: no receiver brings these events; add receivers.k8s_audit to the configuration',
  ]);
  assert.deepEqual(idleRules(rules, { source: 'k8s_audit', receivers: { k8s_audit: ['/bundled'] } }), [
    '1 rule for system calls is checked, and never fires: no receiver brings these events; add receivers.kernel to the configuration',
  ]);
});

test('rules that the other receiver loads are not told', () => {
  const receivers = { syscall: ['/bundled', '/own/b.yaml'], k8s_audit: ['/bundled', '/own'] };
  assert.deepEqual(idleRules(rules, { source: 'syscall', receivers }), []);
  assert.deepEqual(idleRules(rules, { source: 'k8s_audit', receivers }), []);
});

test('rules in files that the other receiver does not load are told', () => {
  const receivers = { syscall: ['/bundled', '/own/b.yaml'], k8s_audit: ['/bundled', '/own/b.yaml.d'] };
  assert.deepEqual(idleRules(rules, { source: 'syscall', receivers }), [
    '1 rule for Kubernetes audit events is checked, and never fires: receivers.k8s_audit does not load the files; name them in its rules_files',
  ]);
});
