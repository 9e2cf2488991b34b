import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FieldValue } from '../../../collector/detection/detection.ts';
import { AuditFields, auditEvidence } from '../../../collector/sources/k8s-audit/index.ts';
import { JSON_FIELDS, K8S_AUDIT_FIELDS } from '../../../rules/fields/k8s-audit.ts';
import * as events from './events.ts';
import { fieldOf, parsed } from './read.ts';

type Table = readonly (readonly [field: string, value: FieldValue | undefined])[];

const TABLES: readonly (readonly [title: string, event: events.Json, table: Table])[] = [
  [
    'who asked for what',
    events.PRIVILEGED_POD,
    [
      ['ka.auditid', '7b1c8f1e-6a36-4a0e-9b11-0d6f3f1b2c3d'],
      ['ka.stage', 'ResponseComplete'],
      ['ka.auth.decision', 'allow'],
      ['ka.auth.reason', 'RBAC: allowed by RoleBinding "dev/shop" of ClusterRole "edit" to Group "developers"'],
      ['ka.user.name', 'alice@example.com'],
      ['ka.user.groups', ['developers', 'system:authenticated']],
      ['ka.impuser.name', undefined],
      ['ka.verb', 'create'],
      ['ka.uri', '/api/v1/namespaces/shop/pods'],
      ['ka.uri.param[dryRun]', undefined],
      ['ka.target.name', undefined],
      ['ka.target.namespace', 'shop'],
      ['ka.target.resource', 'pods'],
      ['ka.target.subresource', undefined],
      ['ka.target.pod.name', 'generated-x7k2p'],
      ['ka.resp.name', 'generated-x7k2p'],
      ['ka.response.code', '201'],
      ['ka.response.reason', undefined],
      ['ka.useragent', 'kubectl/v1.34.1 (linux/amd64) kubernetes/abcdef0'],
      ['ka.sourceips', ['192.0.2.10', '2001:db8::10']],
      ['ka.sourceips[0]', ['192.0.2.10']],
      ['ka.sourceips[2]', undefined],
      ['ka.cluster.name', undefined],
    ],
  ],
  [
    'a pod',
    events.PRIVILEGED_POD,
    [
      ['ka.req.pod.containers.name', ['main', 'side', 'bare']],
      ['ka.req.pod.containers.name[1]', ['side']],
      ['ka.req.pod.containers.name[3]', undefined],
      ['ka.req.pod.containers.args', ['--all', '-v']],
      ['ka.req.pod.containers.command', ['/tool']],
      [
        'ka.req.pod.containers.image',
        ['registry.example.com:5000/team/tool:1.2', 'ghcr.io/x/side@sha256:0123', 'localhost:5000/bare'],
      ],
      [
        'ka.req.pod.containers.image.repository',
        ['registry.example.com:5000/team/tool', 'ghcr.io/x/side', 'localhost:5000/bare'],
      ],
      ['ka.req.pod.containers.image.repository[2]', ['localhost:5000/bare']],
      ['ka.req.pod.containers.privileged', ['true', 'false']],
      ['ka.req.pod.containers.privileged[2]', undefined],
      ['ka.req.pod.containers.allow_privilege_escalation', ['true']],
      ['ka.req.pod.containers.read_only_fs', ['false']],
      ['ka.req.pod.containers.run_as_user', ['0']],
      ['ka.req.pod.containers.eff_run_as_user', ['0', '1000', '1000']],
      ['ka.req.pod.containers.run_as_group', undefined],
      ['ka.req.pod.containers.eff_run_as_group', ['2000', '2000', '2000']],
      ['ka.req.pod.containers.proc_mount', ['Unmasked']],
      ['ka.req.pod.containers.add_capabilities', ['SYS_ADMIN', 'NET_ADMIN']],
      ['ka.req.pod.containers.host_port', ['80', '9090']],
      ['ka.req.pod.initContainers.name', ['init']],
      ['ka.req.pod.initContainers.command', ['sh', '-c']],
      ['ka.req.pod.initContainers.args', ['sleep 1']],
      ['ka.req.pod.initContainers.image.repository', ['busybox']],
      ['ka.req.pod.initContainers.privileged', undefined],
      ['ka.req.pod.ephemeralContainers.image', undefined],
      ['ka.req.container.image', 'registry.example.com:5000/team/tool:1.2'],
      ['ka.req.container.image.repository', 'registry.example.com:5000/team/tool'],
      ['ka.req.container.privileged', 'true'],
      ['ka.req.container.host_network', 'true'],
      ['ka.req.pod.host_network', 'true'],
      ['ka.req.pod.host_pid', 'true'],
      ['ka.req.pod.host_ipc', 'false'],
      ['ka.req.pod.run_as_user', '1000'],
      ['ka.req.pod.run_as_group', '2000'],
      ['ka.req.pod.fs_group', '3000'],
      ['ka.req.pod.supplemental_groups', ['4000', '5000']],
      ['ka.req.pod.volumes.hostpath', ['/']],
      ['ka.req.pod.volumes.hostpath[0]', ['/']],
      ['ka.req.pod.volumes.hostpath[1]', undefined],
      ['ka.req.pod.volumes.flexvolume_driver', ['example.com/nfs']],
      ['ka.req.pod.volumes.volume_type', ['hostPath', 'configMap', 'flexVolume']],
      ['ka.req.volume.hostpath[/]', 'true'],
      ['ka.req.volume.hostpath[/etc]', 'false'],
      ['ka.req.volume.hostpath[/*]', 'true'],
    ],
  ],
  [
    'a command in a pod',
    events.EXEC,
    [
      ['ka.target.subresource', 'exec'],
      ['ka.target.name', 'web-1'],
      ['ka.target.pod.name', undefined],
      ['ka.uri.param[command]', 'cat'],
      ['ka.uri.param[container]', 'main'],
      ['ka.uri.param[none]', undefined],
      ['ka.response.code', '101'],
      ['ka.req.pod.containers.image', undefined],
      ['ka.req.container.privileged', undefined],
      ['ka.req.volume.hostpath[/]', undefined],
    ],
  ],
  [
    'an ephemeral container',
    events.EPHEMERAL,
    [
      ['ka.req.pod.ephemeralContainers.name', ['debugger-1']],
      ['ka.req.pod.ephemeralContainers.image', ['busybox:1']],
      ['ka.req.pod.ephemeralContainers.image.repository', ['busybox']],
      ['ka.req.pod.ephemeralContainers.privileged', ['true']],
      ['ka.req.pod.ephemeralContainers.eff_run_as_user', ['0']],
      ['ka.req.pod.containers.privileged', undefined],
    ],
  ],
  [
    'a role binding',
    events.ROLE_BINDING,
    [
      [
        'ka.req.binding.subjects',
        [
          '{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"bob"}',
          '{"kind":"ServiceAccount","name":"web","namespace":"shop"}',
          '{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"developers"}',
        ],
      ],
      ['ka.req.binding.subjects.user_names', ['bob']],
      ['ka.req.binding.subjects.serviceaccount_names', ['web']],
      ['ka.req.binding.subjects.serviceaccount_ns_names', ['shop:web']],
      ['ka.req.binding.subjects.group_names', ['developers']],
      ['ka.req.binding.role', 'edit'],
      ['ka.req.binding.subject.has_name[bob]', 'true'],
      ['ka.req.binding.subject.has_name[eve]', 'false'],
    ],
  ],
  [
    'a role',
    events.WILDCARD_ROLE,
    [
      [
        'ka.req.role.rules',
        [
          '{"verbs":["*"],"apiGroups":["apps",""],"resources":["deployments","pods/exec"]}',
          '{"verbs":["get"],"nonResourceURLs":["/metrics"]}',
        ],
      ],
      ['ka.req.role.rules.apiGroups', ['apps', '']],
      ['ka.req.role.rules.nonResourceURLs', ['/metrics']],
      ['ka.req.role.rules.verbs', ['*', 'get']],
      ['ka.req.role.rules.verbs[1]', ['get']],
      ['ka.req.role.rules.resources', ['deployments', 'pods/exec']],
      ['ka.req.binding.subject.has_name[bob]', undefined],
    ],
  ],
  [
    'a config map',
    events.CONFIG_MAP,
    [
      ['ka.req.configmap.name', 'web'],
      ['ka.req.configmap.obj', '{"app.ini":"password = \\"hunter2\\""}'],
    ],
  ],
  [
    'a service',
    events.NODE_PORT,
    [
      ['ka.req.service.type', 'NodePort'],
      ['ka.req.service.ports', ['{"port":80,"nodePort":30080}', '{"port":443}']],
      ['ka.req.service.ports[1]', ['{"port":443}']],
    ],
  ],
  [
    'annotations and impersonation',
    events.IMPERSONATED,
    [
      ['ka.impuser.name', 'system:admin'],
      ['ka.security.pod.violations', 'would violate PodSecurity "restricted:latest"'],
      ['ka.validations.admission.policy.failure', '[{"message":"no"}]'],
      ['ka.auth.openshift.decision', 'allow'],
      ['ka.auth.openshift.username', 'kube:admin'],
      ['ka.cluster.name', 'production'],
    ],
  ],
  [
    'the JSON',
    events.event({
      stageTimestamp: '2026-11-21T23:00:00.000000001+01:00',
      'a/b': { 'c~d': [true, { x: null }], '': 1, '0': 'zero' },
    }),
    [
      ['jevt.value[/stage]', 'ResponseComplete'],
      ['json.value[/stage]', 'ResponseComplete'],
      ['jevt.value[stage]', 'ResponseComplete'],
      ['jevt.value[/user/groups/1]', 'system:authenticated'],
      ['jevt.value[/user/groups]', '["developers","system:authenticated"]'],
      ['jevt.value[/user/groups/2]', undefined],
      ['jevt.value[/user/groups/-1]', undefined],
      ['jevt.value[/user/groups/length]', undefined],
      ['jevt.value[/a~1b/c~0d/0]', 'true'],
      ['jevt.value[/a~1b/c~0d/1/x]', 'null'],
      ['jevt.value[/a~1b/]', '1'],
      ['jevt.value[/a~1b/0]', 'zero'],
      ['jevt.value[/nothing/here]', undefined],
      ['jevt.value[/constructor]', undefined],
      ['jevt.value[/stage/length]', undefined],
      ['jevt.rawtime', '1795298400000000001'],
      ['json.rawtime', '1795298400000000001'],
    ],
  ],
  [
    'the event itself',
    events.SECRET_GET,
    [
      ['evt.num', 1],
      ['evt.type', 'pluginevent'],
      ['evt.type.is[pluginevent]', 1],
      ['evt.type.is[open]', 0],
      ['evt.source', 'k8s_audit'],
      ['evt.pluginname', 'k8saudit'],
      ['evt.plugininfo', JSON.stringify(events.SECRET_GET)],
      ['evt.hostname', 'node-1'],
      ['evt.is_async', false],
      ['evt.time', '2026-11-21T22:00:00.123456000Z'],
      ['evt.time.s', '2026-11-21T22:00:00'],
      ['evt.rawtime', 1795298400123456000n],
      ['evt.rawtime.s', 1795298400n],
      ['evt.rawtime.ns', 123456000n],
      ['proc.name', undefined],
      ['toString', undefined],
    ],
  ],
  [
    'what is of another shape than it should be',
    events.event({
      user: 'alice',
      objectRef: null,
      requestURI: 7,
      sourceIPs: '192.0.2.1',
      verb: null,
      requestObject: {
        subjects: { kind: 'User' },
        spec: { containers: [null, 'x', { image: 5, securityContext: [], ports: [{}, 3] }], volumes: 'none' },
        rules: [{ verbs: 'get' }, null],
        data: null,
      },
    }),
    [
      ['ka.user.name', undefined],
      ['ka.target.resource', undefined],
      ['ka.uri', '7'],
      ['ka.uri.param[a]', undefined],
      ['ka.sourceips', undefined],
      ['ka.verb', undefined],
      ['ka.req.binding.subjects', undefined],
      ['ka.req.pod.containers.image', ['5']],
      ['ka.req.pod.containers.image.repository', ['5']],
      ['ka.req.pod.containers.privileged', undefined],
      ['ka.req.pod.containers.host_port', undefined],
      ['ka.req.container.privileged', 'false'],
      ['ka.req.pod.volumes.volume_type', undefined],
      ['ka.req.role.rules.verbs', undefined],
      ['ka.req.configmap.obj', undefined],
    ],
  ],
  [
    'an event without an id, as Falco has it',
    events.event({ auditID: undefined }),
    [
      ['ka.user.name', undefined],
      ['ka.stage', undefined],
      ['jevt.value[/stage]', 'ResponseComplete'],
    ],
  ],
];

describe('fields of audit events', () => {
  for (const [title, json, table] of TABLES) {
    it(`tell ${title}`, () => {
      const event = parsed(json);
      assert.deepEqual(
        table.map(([field]) => [field, fieldOf(event, field)]),
        table,
      );
    });
  }

  it('are all there that rules can name', () => {
    const fields = new AuditFields({ hostname: '' });
    const missing = [...K8S_AUDIT_FIELDS, ...JSON_FIELDS].filter(
      ({ name, argument }) => fields.getter(argument === 'required' ? { name, argument: 'x' } : { name }) === undefined,
    );
    assert.deepEqual(missing, []);
  });

  it('show the whole event with two blanks for a level', () => {
    const text = String(fieldOf(parsed(events.EXEC), 'jevt.obj'));
    assert.deepEqual(JSON.parse(text), events.EXEC);
    assert.match(text, /^\{\n {2}"kind": "Event",\n/);
  });

  it('give detections what a reader asks for first', () => {
    assert.deepEqual(auditEvidence(parsed(events.DENIED)), {
      'ka.auditid': '7b1c8f1e-6a36-4a0e-9b11-0d6f3f1b2c3d',
      'ka.stage': 'ResponseComplete',
      'ka.verb': 'delete',
      'ka.uri': '/api/v1/namespaces/shop/pods/web-1',
      'ka.user.name': 'alice@example.com',
      'ka.user.groups': ['developers', 'system:authenticated'],
      'ka.target.resource': 'pods',
      'ka.target.namespace': 'shop',
      'ka.target.name': 'web-1',
      'ka.response.code': '403',
      'ka.response.reason': 'Forbidden',
      'ka.auth.decision': 'forbid',
      'ka.auth.reason': '',
      'ka.useragent': 'kubectl/v1.34.1 (linux/amd64) kubernetes/abcdef0',
      'ka.sourceips': ['192.0.2.10', '2001:db8::10'],
    });
  });
});
