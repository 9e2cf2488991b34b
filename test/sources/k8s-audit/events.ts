/** Audit events as kube-apiserver 1.34 writes them, made up for these tests. */

export type Json = Record<string, unknown>;

const BASE: Json = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'RequestResponse',
  auditID: '7b1c8f1e-6a36-4a0e-9b11-0d6f3f1b2c3d',
  stage: 'ResponseComplete',
  user: { username: 'alice@example.com', groups: ['developers', 'system:authenticated'] },
  sourceIPs: ['192.0.2.10', '2001:db8::10'],
  userAgent: 'kubectl/v1.34.1 (linux/amd64) kubernetes/abcdef0',
  requestReceivedTimestamp: '2026-11-21T22:00:00.100000Z',
  stageTimestamp: '2026-11-21T22:00:00.123456Z',
  annotations: {
    'authorization.k8s.io/decision': 'allow',
    'authorization.k8s.io/reason':
      'RBAC: allowed by RoleBinding "dev/shop" of ClusterRole "edit" to Group "developers"',
  },
};

export function event(changes: Json): Json {
  return { ...BASE, ...changes };
}

function created(resource: string, apiGroup: string, object: Json, place: { namespace?: string; name?: string }): Json {
  return event({
    verb: 'create',
    requestURI:
      place.namespace === undefined ? `/api/v1/${resource}` : `/api/v1/namespaces/${place.namespace}/${resource}`,
    objectRef: { resource, ...place, ...(apiGroup !== '' && { apiGroup }), apiVersion: 'v1' },
    responseStatus: { metadata: {}, code: 201 },
    requestObject: object,
    responseObject: { ...object, metadata: { name: place.name ?? 'generated-x7k2p', namespace: place.namespace } },
  });
}

const SHOP = { namespace: 'shop', name: 'web' };

export const PRIVILEGED_POD = created(
  'pods',
  '',
  {
    kind: 'Pod',
    spec: {
      hostNetwork: true,
      hostPID: true,
      hostIPC: false,
      securityContext: { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000, 5000] },
      volumes: [
        { name: 'root', hostPath: { path: '/', type: 'Directory' } },
        { name: 'settings', configMap: { name: 'settings' } },
        { name: 'old', flexVolume: { driver: 'example.com/nfs' } },
      ],
      initContainers: [{ name: 'init', image: 'busybox', command: ['sh', '-c'], args: ['sleep 1'] }],
      containers: [
        {
          name: 'main',
          image: 'registry.example.com:5000/team/tool:1.2',
          command: ['/tool'],
          args: ['--all', '-v'],
          ports: [{ containerPort: 8080, hostPort: 80 }, { containerPort: 9090 }],
          securityContext: {
            privileged: true,
            allowPrivilegeEscalation: true,
            readOnlyRootFilesystem: false,
            runAsUser: 0,
            procMount: 'Unmasked',
            capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN'] },
          },
        },
        { name: 'side', image: 'ghcr.io/x/side@sha256:0123', securityContext: { privileged: false } },
        { name: 'bare', image: 'localhost:5000/bare' },
      ],
    },
  },
  { namespace: 'shop' },
);

export const EXEC = event({
  stage: 'ResponseStarted',
  verb: 'get',
  requestURI:
    '/api/v1/namespaces/shop/pods/web-1/exec?command=cat&command=%2Fetc%2Fpasswd&container=main&stdin=true&tty=true',
  objectRef: { resource: 'pods', namespace: 'shop', name: 'web-1', apiVersion: 'v1', subresource: 'exec' },
  responseStatus: { metadata: {}, code: 101 },
});

export const ATTACH = event({
  ...EXEC,
  verb: 'create',
  objectRef: { ...(EXEC.objectRef as Json), subresource: 'attach' },
});

export const PORT_FORWARD = event({
  ...EXEC,
  requestURI: '/api/v1/namespaces/shop/pods/db-0/portforward?ports=5432',
  objectRef: { ...(EXEC.objectRef as Json), name: 'db-0', subresource: 'portforward' },
});

export const EPHEMERAL = event({
  verb: 'patch',
  requestURI: '/api/v1/namespaces/shop/pods/web-1/ephemeralcontainers',
  objectRef: {
    resource: 'pods',
    namespace: 'shop',
    name: 'web-1',
    apiVersion: 'v1',
    subresource: 'ephemeralcontainers',
  },
  responseStatus: { metadata: {}, code: 200 },
  requestObject: {
    spec: { ephemeralContainers: [{ name: 'debugger-1', image: 'busybox:1', securityContext: { privileged: true } }] },
  },
});

export const ROLE_BINDING = created(
  'rolebindings',
  'rbac.authorization.k8s.io',
  {
    subjects: [
      { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'bob' },
      { kind: 'ServiceAccount', name: 'web', namespace: 'shop' },
      { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'developers' },
    ],
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
  },
  { namespace: 'shop', name: 'edit-shop' },
);

export const ADMIN_BINDING = created(
  'clusterrolebindings',
  'rbac.authorization.k8s.io',
  { subjects: [{ kind: 'User', name: 'mallory' }], roleRef: { kind: 'ClusterRole', name: 'cluster-admin' } },
  { name: 'oops' },
);

export const WILDCARD_ROLE = created(
  'clusterroles',
  'rbac.authorization.k8s.io',
  {
    rules: [
      { verbs: ['*'], apiGroups: ['apps', ''], resources: ['deployments', 'pods/exec'] },
      { verbs: ['get'], nonResourceURLs: ['/metrics'] },
    ],
  },
  { name: 'wide' },
);

export const CONFIG_MAP = created('configmaps', '', { data: { 'app.ini': 'password = "hunter2"' } }, SHOP);
export const NODE_PORT = created(
  'services',
  '',
  { spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }, { port: 443 }] } },
  SHOP,
);
export const NAMESPACE = created('namespaces', '', { metadata: { name: 'hidden' } }, { name: 'hidden' });
export const SERVICE_ACCOUNT = created('serviceaccounts', '', {}, { namespace: 'kube-system', name: 'helper' });
export const DEPLOYMENT = created(
  'deployments',
  'apps',
  { spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx:1' }] } } } },
  SHOP,
);
export const INGRESS = created('ingresses', 'networking.k8s.io', { spec: { rules: [{ host: 'a.example' }] } }, SHOP);

export const SECRET_GET = event({
  level: 'Metadata',
  verb: 'get',
  requestURI: '/api/v1/namespaces/shop/secrets/db',
  objectRef: { resource: 'secrets', namespace: 'shop', name: 'db', apiVersion: 'v1' },
  responseStatus: { metadata: {}, code: 200 },
});

export const ANONYMOUS = event({
  user: { username: 'system:anonymous', groups: ['system:unauthenticated'] },
  verb: 'list',
  requestURI: '/api/v1/pods?limit=500',
  objectRef: { resource: 'pods', apiVersion: 'v1' },
  responseStatus: { metadata: {}, code: 200 },
});

export const DENIED = event({
  verb: 'delete',
  requestURI: '/api/v1/namespaces/shop/pods/web-1',
  objectRef: { resource: 'pods', namespace: 'shop', name: 'web-1', apiVersion: 'v1' },
  responseStatus: { metadata: {}, status: 'Failure', reason: 'Forbidden', code: 403 },
  annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': '' },
});

export const IMPERSONATED = event({
  ...SECRET_GET,
  impersonatedUser: { username: 'system:admin', groups: ['system:masters'] },
  annotations: {
    ...(BASE.annotations as Json),
    'pod-security.kubernetes.io/audit-violations': 'would violate PodSecurity "restricted:latest"',
    'validation.policy.admission.k8s.io/validation_failure': '[{"message":"no"}]',
    'authentication.openshift.io/decision': 'allow',
    'authentication.openshift.io/username': 'kube:admin',
    cluster_name: 'production',
  },
});
