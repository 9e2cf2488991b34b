import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { auditEvidence } from '../../collector/sources/k8s-audit/index.ts';
import { detection } from '../fixtures/detections.ts';
import {
  DENIED,
  EXEC,
  event,
  IMPERSONATED,
  type Json,
  NAMESPACE,
  PRIVILEGED_POD,
} from '../sources/k8s-audit/events.ts';
import { parsed } from '../sources/k8s-audit/read.ts';

/** What the record of a detection tells of its event, without what it tells of its rule. */
function attributesOf(json: Json, fields: Record<string, string | number> = {}): Record<string, unknown> {
  const evidence = auditEvidence(parsed(json));
  const record = toLogRecord(detection(1, { source: 'k8s_audit', evidence, output_fields: fields }));
  const own = Object.entries(record.attributes ?? {}).filter(
    ([name]) => !/^(log\.record|security_rule|shikra\.(priority|event|rule|threat))\b/.test(name),
  );
  return Object.fromEntries(own);
}

describe('attributes of a detection in the audit log', () => {
  it('tell of a command in a pod by the names of the conventions', () => {
    assert.deepEqual(attributesOf(EXEC), {
      'shikra.k8s.audit.id': '7b1c8f1e-6a36-4a0e-9b11-0d6f3f1b2c3d',
      'shikra.k8s.audit.stage': 'ResponseStarted',
      'shikra.k8s.audit.verb': 'get',
      'url.path': '/api/v1/namespaces/shop/pods/web-1/exec',
      'url.query': 'command=cat&command=%2Fetc%2Fpasswd&container=main&stdin=true&tty=true',
      'user.name': 'alice@example.com',
      'user.roles': ['developers', 'system:authenticated'],
      'shikra.k8s.audit.target.resource': 'pods',
      'shikra.k8s.audit.target.subresource': 'exec',
      'shikra.k8s.audit.target.namespace': 'shop',
      'shikra.k8s.audit.target.name': 'web-1',
      'http.response.status_code': 101,
      'shikra.k8s.audit.auth.decision': 'allow',
      'shikra.k8s.audit.auth.reason':
        'RBAC: allowed by RoleBinding "dev/shop" of ClusterRole "edit" to Group "developers"',
      'user_agent.original': 'kubectl/v1.34.1 (linux/amd64) kubernetes/abcdef0',
      'client.address': '192.0.2.10',
      'shikra.k8s.audit.sourceips': ['192.0.2.10', '2001:db8::10'],
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': 'web-1',
    });
  });

  it('name an object by its kind where there is a convention, also one that got its name at its creation', () => {
    const named = (resource: string, name: string, namespace?: string) =>
      attributesOf(event({ verb: 'delete', requestURI: '/x', objectRef: { resource, name, namespace } }));
    assert.equal(named('deployments', 'web', 'shop')['k8s.deployment.name'], 'web');
    assert.equal(named('nodes', 'node-1')['k8s.node.name'], 'node-1');
    const secret = named('secrets', 'db', 'shop');
    assert.equal(secret['shikra.k8s.audit.target.name'], 'db');
    assert.equal(secret['k8s.namespace.name'], 'shop');
    assert.ok(!Object.keys(secret).some((name) => name.startsWith('k8s.secret')));
    assert.equal(attributesOf(PRIVILEGED_POD)['k8s.pod.name'], 'generated-x7k2p');
    assert.equal(attributesOf(NAMESPACE)['k8s.namespace.name'], 'hidden');
    assert.equal(named('constructor', 'x')['k8s.pod.name'], undefined);
  });

  it('have a method of HTTP only for a request that is about no resource', () => {
    const health = event({ verb: 'get', requestURI: '/healthz', objectRef: undefined });
    assert.equal(attributesOf(health)['http.request.method'], 'GET');
    assert.equal(attributesOf(health)['url.query'], undefined);
    assert.equal(attributesOf(EXEC)['http.request.method'], undefined);
    assert.equal(attributesOf(event({ verb: 'list', requestURI: '/x' }))['http.request.method'], undefined);
  });

  it('tell of a refusal and of who was impersonated', () => {
    const denied = attributesOf(DENIED);
    assert.equal(denied['http.response.status_code'], 403);
    assert.equal(denied['shikra.k8s.audit.response.reason'], 'Forbidden');
    const impersonated = attributesOf(IMPERSONATED);
    assert.equal(impersonated['user.name'], 'alice@example.com');
    assert.equal(impersonated['shikra.k8s.audit.impuser.name'], 'system:admin');
    assert.equal(impersonated['k8s.cluster.name'], 'production');
  });

  it('hide tokens in the query', () => {
    const requestURI = '/api/v1/namespaces/a/services/b/proxy/?q=token&token=abc&x=1&X-Goog-Signature=def&sig=%2Fg';
    const { 'url.query': query } = attributesOf(event({ verb: 'get', requestURI }));
    assert.equal(query, 'q=token&token=REDACTED&x=1&X-Goog-Signature=REDACTED&sig=REDACTED');
  });

  it('have what the output names beside, and the time of the event', () => {
    const found = attributesOf(EXEC, { 'ka.uri.param[command]': 'cat', 'jevt.value[/level]': 'Request' });
    assert.equal(found['shikra.k8s.audit.uri.param.command'], 'cat');
    assert.equal(found['shikra.field.jevt.value._level'], 'Request');
  });
});
