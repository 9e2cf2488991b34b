import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { detection } from '../fixtures/detections.ts';

const attributesOf = (changes: Partial<Detection>) =>
  toLogRecord(detection(0, { evidence: {}, output_fields: {}, ...changes })).attributes as Record<string, unknown>;

/** Those that are about containers. */
const ofContainer = (changes: Partial<Detection>) =>
  Object.fromEntries(Object.entries(attributesOf(changes)).filter(([name]) => /container|k8s|label/.test(name)));

test("a record has the names of OpenTelemetry's conventions for what is known of a container and its pod", () => {
  const evidence = {
    'container.full_id': 'a'.repeat(64),
    'container.name': 'app',
    'container.type': 'containerd',
    'container.image.repository': 'registry.test/app',
    'container.image.tag': '1.2',
    'container.image.id': 'abc',
    'container.image.digest': 'sha256:123',
    'container.privileged': true,
    'container.label.team': 'payments',
    'container.label.org.example/Owner': 'Ada',
    'k8s.pod.name': 'web-0',
    'k8s.pod.uid': 'uid-1',
    'k8s.ns.name': 'shop',
    'k8s.container.name': 'app',
    'k8s.pod.label.app.kubernetes.io/name': 'web',
  };
  assert.deepEqual(ofContainer({ evidence }), {
    'container.id': 'a'.repeat(64),
    'container.name': 'app',
    'container.runtime.name': 'containerd',
    'container.image.name': 'registry.test/app',
    'container.image.tags': ['1.2'],
    'container.image.id': 'abc',
    'container.image.repo_digests': ['registry.test/app@sha256:123'],
    'shikra.container.privileged': true,
    'container.label.team': 'payments',
    'container.label.org.example/Owner': 'Ada',
    'k8s.pod.name': 'web-0',
    'k8s.pod.uid': 'uid-1',
    'k8s.namespace.name': 'shop',
    'k8s.container.name': 'app',
    'k8s.pod.label.app.kubernetes.io/name': 'web',
  });
});

test('a label that an output names is the same attribute, however it is written there', () => {
  for (const field of ['container.label.team', 'container.label[team]'])
    assert.deepEqual(ofContainer({ output_fields: { [field]: 'payments' } }), { 'container.label.team': 'payments' });
  assert.deepEqual(ofContainer({ output_fields: { 'container.labels': 'a:b' } }), {
    'shikra.field.container.labels': 'a:b',
  });
});

test('a record says that metadata is missing, and why', () => {
  const evidence = { 'container.full_id': 'a'.repeat(64), 'shikra.container.metadata': 'late' };
  assert.deepEqual(ofContainer({ evidence }), { 'container.id': 'a'.repeat(64), 'shikra.container.metadata': 'late' });
});
