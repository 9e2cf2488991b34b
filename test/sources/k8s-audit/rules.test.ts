import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Engine } from '../../../collector/engine/engine.ts';
import { AUDIT_EVENT_TYPE_NAMES, type AuditEvent, AuditFields } from '../../../collector/sources/k8s-audit/index.ts';
import { type CompiledRule, formatProblem, loadRules, readRuleFiles } from '../../../rules/index.ts';
import * as events from './events.ts';
import { parsed } from './read.ts';

const OURS = fileURLToPath(new URL('../../../rules/sets/k8s_audit_rules.yaml', import.meta.url));
/** Falco's rules are no part of this repository; they are tested where they lie beside it. */
const FALCOS = fileURLToPath(new URL('../../../../shared/corpora/falco-rules/k8s_audit_rules.yaml', import.meta.url));
const skip = existsSync(FALCOS) ? false : `no rule file at ${FALCOS}`;

async function engineOf(...files: string[]): Promise<Engine<AuditEvent>> {
  const read = await readRuleFiles(files);
  const { rules, problems } = loadRules(read.files);
  const engine = new Engine<AuditEvent>({
    rules,
    resolver: new AuditFields({ hostname: 'node-1' }),
    eventTypeNames: AUDIT_EVENT_TYPE_NAMES,
    collected: AUDIT_EVENT_TYPE_NAMES,
    matching: 'all',
  });
  assert.deepEqual([...read.problems, ...problems, ...engine.ruleset.warnings].map(formatProblem), []);
  return engine;
}

/** Every rule that matches. */
function matches(engine: Engine<AuditEvent>, json: events.Json): CompiledRule<AuditEvent>[] {
  const found: CompiledRule<AuditEvent>[] = [];
  engine.evaluate(parsed(json), (rule) => found.push(rule));
  return found;
}

const names = (rules: readonly CompiledRule<AuditEvent>[]): string[] => rules.map(({ name }) => name);

describe("Falco's rules on the audit log", { skip }, () => {
  const CASES: readonly (readonly [title: string, event: events.Json, rules: string[]])[] = [
    [
      'a privileged pod',
      events.PRIVILEGED_POD,
      ['Create Privileged Pod', 'Create Sensitive Mount Pod', 'Create HostNetwork Pod', 'Create HostPid Pod'],
    ],
    ['a command in a pod', events.EXEC, ['Attach/Exec Pod']],
    ['a terminal of a pod', events.ATTACH, ['Attach/Exec Pod']],
    ['a tunnel', events.PORT_FORWARD, ['port-forward']],
    ['a debug container', events.EPHEMERAL, ['EphemeralContainers Created']],
    ['a role binding', events.ROLE_BINDING, ['K8s RoleBinding Created']],
    ['an administrator', events.ADMIN_BINDING, ['Attach to cluster-admin Role', 'K8s ClusterRoleBinding Created']],
    [
      'a wide role',
      events.WILDCARD_ROLE,
      ['ClusterRole With Wildcard Created', 'ClusterRole With Pod Exec Created', 'K8s ClusterRole Created'],
    ],
    ['a password', events.CONFIG_MAP, ['Create/Modify Configmap With Private Credentials', 'K8s ConfigMap Created']],
    ['a port of all nodes', events.NODE_PORT, ['Create NodePort Service', 'K8s Service Created']],
    ['a namespace', events.NAMESPACE, ['Create Disallowed Namespace', 'K8s Namespace Created']],
    [
      'a service account',
      events.SERVICE_ACCOUNT,
      ['Service Account Created in Kube Namespace', 'K8s Serviceaccount Created'],
    ],
    ['a deployment', events.DEPLOYMENT, ['K8s Deployment Created']],
    ['an ingress', events.INGRESS, ['Ingress Object without TLS Certificate Created']],
    ['a secret', events.SECRET_GET, ['K8s Secret Get Successfully']],
    ['somebody without a name', events.ANONYMOUS, ['Anonymous Request Allowed']],
    ['a refusal', events.DENIED, []],
  ];

  it('load and find what they look for', async () => {
    const engine = await engineOf(FALCOS);
    assert.equal(engine.ruleset.rules.length, 48);
    for (const [title, event, expected] of CASES) {
      // This one asks for users whom a test cluster cannot have.
      const found = names(matches(engine, event)).filter((name) => name !== 'Disallowed K8s User');
      assert.deepEqual(found, expected, title);
    }
  });

  it('render their outputs with values of the event', async () => {
    const engine = await engineOf(FALCOS);
    const output = (json: events.Json, name: string) =>
      engine.ruleset.rules.find((rule) => rule.name === name)!.render(parsed(json)).output;
    assert.equal(
      output(events.EXEC, 'Attach/Exec Pod'),
      'Attach/Exec to pod (user=alice@example.com pod=web-1 resource=pods ns=shop action=exec command=cat)',
    );
    assert.equal(
      output(events.NODE_PORT, 'Create NodePort Service'),
      'NodePort Service Created (user=alice@example.com service=web resource=services ns=shop ports=({"port":80,"nodePort":30080},{"port":443}))',
    );
  });

  it('load together with ours', async () => {
    const engine = await engineOf(FALCOS, OURS);
    assert.ok(names(matches(engine, events.EXEC)).includes('Attach/Exec Pod'));
    assert.ok(names(matches(engine, events.EXEC)).includes('Command run in a pod'));
  });
});

describe('our rules on the audit log', () => {
  it('say what to do, and carry a maturity and a technique', async () => {
    const { rules } = loadRules((await readRuleFiles([OURS])).files);
    assert.ok(rules.length >= 32);
    for (const { name, description, tags, source } of rules) {
      assert.equal(source, 'k8s_audit');
      assert.ok(description.length > 80, name);
      assert.match(tags[0] ?? '', /^maturity_(stable|incubating|sandbox)$/, name);
      assert.ok(tags.includes('k8s'), name);
      assert.ok(
        tags.some((tag) => tag.startsWith('mitre_')) && tags.some((tag) => /^T\d{4}(\.\d{3})?$/.test(tag)),
        name,
      );
    }
  });

  it('report nothing above NOTICE of an ordinary hour of a cluster', async () => {
    const engine = await engineOf(OURS);
    const loud = ordinaryHour().flatMap((event) =>
      matches(engine, event)
        .filter(({ priority }) => !['Notice', 'Informational', 'Debug'].includes(priority))
        .map(({ name }) => `${name}: ${JSON.stringify(event.user)} ${event.verb} ${JSON.stringify(event.objectRef)}`),
    );
    assert.deepEqual(loud, []);
  });

  it('decide about a large hostile request', async () => {
    const engine = await engineOf(OURS);
    const path = '/'.repeat(500);
    const volumes = Array.from({ length: 400 }, () => ({ name: 'v', hostPath: { path: `${path}x` } }));
    const env = Array.from({ length: 2000 }, () => ({ name: 'A'.repeat(60), value: 'x' }));
    const json = {
      ...events.PRIVILEGED_POD,
      requestObject: { spec: { volumes, containers: [{ name: 'a', env, securityContext: { privileged: true } }] } },
    };
    assert.deepEqual(
      matches(engine, json).map(({ name }) => name),
      ['Privileged pod'],
    );
  });
});

/** What the control plane, nodes, add-ons and people do all day. */
function ordinaryHour(): events.Json[] {
  const serviceAccount = (name: string) => ({
    username: `system:serviceaccount:${name}`,
    groups: ['system:serviceaccounts', 'system:authenticated'],
  });
  const kubelet = { username: 'system:node:worker-1', groups: ['system:nodes', 'system:authenticated'] };
  const controller = (name: string) => serviceAccount(`kube-system:${name}`);
  const privilegedPod = events.PRIVILEGED_POD.requestObject;
  const made = (user: object, resource: string, name: string, namespace = 'kube-system', requestObject: unknown = {}) =>
    events.event({
      user,
      userAgent: 'component/v1.34.0',
      verb: 'create',
      objectRef: { resource, namespace, name },
      responseStatus: { code: 201 },
      requestObject,
    });
  const did = (user: object, verb: string, resource: string, rest: object = {}, code = 200) =>
    events.event({
      user,
      userAgent: 'component/v1.34.0',
      verb,
      objectRef: { resource, namespace: 'kube-system', name: 'x', ...rest },
      responseStatus: { code },
    });
  const person = { username: 'alice@example.com', groups: ['developers'] };
  return [
    made(controller('daemon-set-controller'), 'pods', 'kube-proxy-abcde', 'kube-system', privilegedPod),
    made(controller('replicaset-controller'), 'pods', 'web-1', 'shop', privilegedPod),
    made(controller('cronjob-controller'), 'jobs', 'backup-1', 'shop'),
    made(controller('deployment-controller'), 'replicasets', 'web-1', 'kube-system'),
    made(controller('root-ca-cert-publisher'), 'configmaps', 'kube-root-ca.crt', 'shop'),
    made(controller('service-account-controller'), 'serviceaccounts', 'default', 'kube-system'),
    did(controller('clusterrole-aggregation-controller'), 'patch', 'clusterroles', { name: 'edit' }),
    did(controller('namespace-controller'), 'deletecollection', 'pods', { namespace: 'gone' }),
    did(controller('generic-garbage-collector'), 'delete', 'pods'),
    did({ username: 'system:apiserver', groups: ['system:masters'] }, 'update', 'clusterroles', {
      name: 'system:node',
    }),
    did({ username: 'system:kube-controller-manager', groups: [] }, 'list', 'secrets', {
      namespace: undefined,
      name: undefined,
    }),
    did({ username: 'system:kube-scheduler', groups: [] }, 'create', 'pods', { subresource: 'binding' }, 201),
    did(kubelet, 'create', 'serviceaccounts', { subresource: 'token', name: 'coredns' }, 201),
    did(kubelet, 'get', 'secrets', { namespace: 'shop', name: 'db' }),
    did(kubelet, 'create', 'nodes', { name: 'worker-1', namespace: undefined }, 409),
    did(kubelet, 'create', 'certificatesigningrequests', {}, 201),
    did(kubelet, 'patch', 'nodes', { name: 'worker-1', subresource: 'status' }),
    made(kubelet, 'pods', 'kube-apiserver-master', 'kube-system', {
      ...(privilegedPod as object),
      metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } },
    }),
    did(serviceAccount('cert-manager:cert-manager'), 'list', 'secrets', { namespace: undefined, name: undefined }),
    did(serviceAccount('cert-manager:cert-manager-cainjector'), 'patch', 'validatingwebhookconfigurations', {
      namespace: undefined,
    }),
    did(serviceAccount('monitoring:prometheus'), 'get', 'services'),
    did(controller('horizontal-pod-autoscaler'), 'update', 'deployments', { subresource: 'scale', name: 'fluentd' }),
    did(person, 'list', 'pods', { namespace: 'shop', name: undefined }),
    did(person, 'get', 'pods', { namespace: 'shop', subresource: 'log' }),
    did(person, 'get', 'secrets', { namespace: 'shop', name: 'sh.helm.release.v1.web.v1' }),
    { ...events.DEPLOYMENT, user: person },
    { ...events.DEPLOYMENT, user: person, verb: 'patch', responseStatus: { code: 200 } },
    { ...events.NODE_PORT, user: person },
    { ...events.INGRESS, user: person },
    { ...events.EXEC, user: person },
    { ...events.PORT_FORWARD, user: person },
    { ...events.ROLE_BINDING, user: person },
    events.DENIED,
    events.event({
      user: { username: 'system:anonymous', groups: ['system:unauthenticated'] },
      verb: 'get',
      requestURI: '/readyz?verbose',
      responseStatus: { code: 200 },
    }),
  ];
}
