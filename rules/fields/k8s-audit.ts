import { type FieldDefinition, type FieldOptions, field, KEY_REQUIRED } from './field.ts';

const LIST: FieldOptions = { multiplicity: 'list' };
const INDEXED_LIST: FieldOptions = { argument: 'optional', argumentKind: 'index', multiplicity: 'list' };

/** The same facts exist for containers, init containers and ephemeral containers. */
function containerFields(kind: 'containers' | 'initContainers' | 'ephemeralContainers'): FieldDefinition[] {
  const facts: [string, string][] = [
    ['args', 'arguments'],
    ['command', 'commands'],
    ['name', 'names'],
    ['image', 'images'],
    ['image.repository', 'images without their tags'],
    ['privileged', 'privileged flags'],
    ['allow_privilege_escalation', 'allowPrivilegeEscalation flags'],
    ['read_only_fs', 'readOnlyRootFilesystem flags'],
    ['run_as_user', 'runAsUser ids'],
    ['eff_run_as_user', 'user ids that will be used'],
    ['run_as_group', 'runAsGroup ids'],
    ['eff_run_as_group', 'group ids that will be used'],
    ['proc_mount', 'procMount types'],
    ['add_capabilities', 'capabilities added'],
    ['host_port', 'host ports'],
  ];
  return facts
    .filter(([fact]) => kind !== 'ephemeralContainers' || fact !== 'host_port')
    .map(([fact, what]) =>
      field(`ka.req.pod.${kind}.${fact}`, 'CHARBUF', `${what} of the pod's ${kind}`, INDEXED_LIST),
    );
}

/** Fields of a Kubernetes audit event. */
export const K8S_AUDIT_FIELDS = [
  field('ka.auditid', 'CHARBUF', 'id of the audit event'),
  field('ka.stage', 'CHARBUF', 'stage of the request'),
  field('ka.auth.decision', 'CHARBUF', 'decision of the authorizer'),
  field('ka.auth.reason', 'CHARBUF', 'reason of the decision'),
  field('ka.auth.openshift.decision', 'CHARBUF', 'decision of the OpenShift authenticator'),
  field('ka.auth.openshift.username', 'CHARBUF', 'user name given to the OpenShift authenticator'),
  field('ka.validations.admission.policy.failure', 'CHARBUF', 'failures of validating admission policies'),
  field('ka.security.pod.violations', 'CHARBUF', 'violations of the pod security standard'),
  field('ka.user.name', 'CHARBUF', 'user who made the request'),
  field('ka.user.groups', 'CHARBUF', 'groups of that user', LIST),
  field('ka.impuser.name', 'CHARBUF', 'user who was impersonated'),
  field('ka.verb', 'CHARBUF', 'verb of the request'),
  field('ka.uri', 'CHARBUF', 'URI of the request'),
  field('ka.uri.param', 'CHARBUF', 'one query parameter of the URI', KEY_REQUIRED),
  field('ka.target.name', 'CHARBUF', 'name of the target object'),
  field('ka.target.namespace', 'CHARBUF', 'namespace of the target object'),
  field('ka.target.resource', 'CHARBUF', 'resource kind of the target object'),
  field('ka.target.subresource', 'CHARBUF', 'subresource of the target object'),
  field('ka.target.pod.name', 'CHARBUF', 'name of the target pod'),
  field('ka.req.binding.subjects', 'CHARBUF', 'subjects of a role binding', LIST),
  field('ka.req.binding.subjects.user_names', 'CHARBUF', 'user names of a role binding', LIST),
  field('ka.req.binding.subjects.serviceaccount_names', 'CHARBUF', 'service accounts of a role binding', LIST),
  field(
    'ka.req.binding.subjects.serviceaccount_ns_names',
    'CHARBUF',
    'service accounts with namespace of a role binding',
    LIST,
  ),
  field('ka.req.binding.subjects.group_names', 'CHARBUF', 'groups of a role binding', LIST),
  field('ka.req.binding.role', 'CHARBUF', 'role that a binding grants'),
  field('ka.req.binding.subject.has_name', 'CHARBUF', 'whether a binding names the subject given', KEY_REQUIRED),
  field('ka.req.configmap.name', 'CHARBUF', 'name of a config map'),
  field('ka.req.configmap.obj', 'CHARBUF', 'config map as JSON'),
  ...containerFields('containers'),
  ...containerFields('initContainers'),
  ...containerFields('ephemeralContainers'),
  field('ka.req.container.image', 'CHARBUF', 'image of the first container'),
  field('ka.req.container.image.repository', 'CHARBUF', 'image of the first container without its tag'),
  field('ka.req.container.host_network', 'CHARBUF', 'hostNetwork flag of the pod'),
  field('ka.req.container.privileged', 'CHARBUF', 'whether one container is privileged'),
  field('ka.req.pod.host_ipc', 'CHARBUF', 'hostIPC flag of the pod'),
  field('ka.req.pod.host_network', 'CHARBUF', 'hostNetwork flag of the pod'),
  field('ka.req.pod.host_pid', 'CHARBUF', 'hostPID flag of the pod'),
  field('ka.req.pod.run_as_user', 'CHARBUF', 'runAsUser of the pod'),
  field('ka.req.pod.run_as_group', 'CHARBUF', 'runAsGroup of the pod'),
  field('ka.req.pod.fs_group', 'CHARBUF', 'fsGroup of the pod'),
  field('ka.req.pod.supplemental_groups', 'CHARBUF', 'supplementalGroups of the pod', LIST),
  field('ka.req.pod.volumes.hostpath', 'CHARBUF', 'host paths of the volumes', INDEXED_LIST),
  field('ka.req.pod.volumes.flexvolume_driver', 'CHARBUF', 'flexVolume drivers', INDEXED_LIST),
  field('ka.req.pod.volumes.volume_type', 'CHARBUF', 'types of the volumes', INDEXED_LIST),
  field('ka.req.volume.hostpath', 'CHARBUF', 'whether a volume has the host path given', KEY_REQUIRED),
  field('ka.req.role.rules', 'CHARBUF', 'rules of a role', LIST),
  field('ka.req.role.rules.apiGroups', 'CHARBUF', 'API groups of the rules of a role', INDEXED_LIST),
  field('ka.req.role.rules.nonResourceURLs', 'CHARBUF', 'non-resource URLs of the rules of a role', INDEXED_LIST),
  field('ka.req.role.rules.verbs', 'CHARBUF', 'verbs of the rules of a role', INDEXED_LIST),
  field('ka.req.role.rules.resources', 'CHARBUF', 'resources of the rules of a role', INDEXED_LIST),
  field('ka.req.service.type', 'CHARBUF', 'type of a service'),
  field('ka.req.service.ports', 'CHARBUF', 'ports of a service', INDEXED_LIST),
  field('ka.resp.name', 'CHARBUF', 'name of the object in the response'),
  field('ka.response.code', 'CHARBUF', 'status code of the response'),
  field('ka.response.reason', 'CHARBUF', 'reason of the response'),
  field('ka.useragent', 'CHARBUF', 'user agent of the client'),
  field('ka.sourceips', 'CHARBUF', 'addresses of the client', INDEXED_LIST),
  field('ka.cluster.name', 'CHARBUF', 'name of the cluster'),
];

/** Fields that reach into the JSON text of an event. */
export const JSON_FIELDS = ['json', 'jevt'].flatMap((prefix) => [
  field(`${prefix}.value`, 'CHARBUF', 'value at a JSON pointer', KEY_REQUIRED),
  field(`${prefix}.obj`, 'CHARBUF', 'whole event, indented'),
  field(`${prefix}.rawtime`, 'CHARBUF', 'time of the event in nanoseconds since 1970'),
]);
