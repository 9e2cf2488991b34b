import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { load } from 'js-yaml';
import { k8sAuditReceiverSchema } from '../../collector/config/receivers.ts';

const read = <T>(file: string) => load(readFileSync(`deploy/k8s-audit/${file}`, 'utf8')) as T;

interface Policy {
  readonly apiVersion: string;
  readonly kind: string;
  readonly omitStages: readonly string[];
  readonly rules: readonly Rule[];
}

interface Rule {
  readonly level: string;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly resources?: readonly { readonly group: string; readonly resources?: readonly string[] }[];
}

/** The API server's: the first rule that fits decides. */
function levelOf(policy: Policy, request: { user: string; verb: string; group?: string; resource: string }): string {
  const { user, verb, group = '', resource } = request;
  const fits = ({ users, userGroups, verbs, nonResourceURLs, resources }: Rule) =>
    (users === undefined || users.includes(user)) &&
    userGroups === undefined &&
    nonResourceURLs === undefined &&
    (verbs === undefined || verbs.includes(verb)) &&
    (resources === undefined ||
      resources.some(
        (one) => one.group === group && (one.resources === undefined || one.resources.includes(resource)),
      ));
  return policy.rules.find(fits)?.level ?? 'None';
}

it('the policy has what the bundled rules look at, and no secrets', () => {
  const policy = read<Policy>('policy.yaml');
  assert.deepEqual(
    [policy.apiVersion, policy.kind, policy.omitStages],
    ['audit.k8s.io/v1', 'Policy', ['RequestReceived']],
  );
  const user = 'jane';
  for (const [request, level] of [
    [{ user, verb: 'create', resource: 'pods/exec' }, 'Metadata'],
    [{ user, verb: 'get', resource: 'pods/attach' }, 'Metadata'],
    [{ user, verb: 'create', resource: 'pods' }, 'RequestResponse'],
    [{ user, verb: 'create', resource: 'configmaps' }, 'RequestResponse'],
    [{ user, verb: 'create', group: 'apps', resource: 'daemonsets' }, 'RequestResponse'],
    [{ user, verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' }, 'RequestResponse'],
    [{ user, verb: 'create', resource: 'secrets' }, 'Metadata'],
    [{ user, verb: 'list', resource: 'secrets' }, 'Metadata'],
    [{ user, verb: 'create', resource: 'serviceaccounts/token' }, 'Metadata'],
    [{ user: 'system:kube-proxy', verb: 'watch', resource: 'services' }, 'None'],
  ] as const)
    assert.equal(levelOf(policy, request), level, JSON.stringify(request));
});

it('kubeadm and k3s are given the same flags, and the volumes that these need', () => {
  interface Kubeadm {
    readonly apiServer: {
      readonly extraArgs: readonly { readonly name: string; readonly value: string }[];
      readonly extraVolumes: readonly { readonly hostPath: string; readonly mountPath: string }[];
    };
  }
  const { extraArgs, extraVolumes } = read<Kubeadm>('kubeadm.yaml').apiServer;
  const k3s = read<Record<string, readonly string[]>>('k3s.yaml')['kube-apiserver-arg']!;
  assert.deepEqual(
    k3s.map((flag) => flag.split('=')[0]),
    extraArgs.map(({ name }) => name),
  );
  for (const { value } of extraArgs.filter(({ value }) => value.startsWith('/')))
    assert.ok(
      extraVolumes.some(({ hostPath, mountPath }) => value.startsWith(`${mountPath}/`) && hostPath === mountPath),
      value,
    );
});

it('the webhook of the API server goes where the receiver listens', () => {
  interface Kubeconfig {
    readonly clusters: readonly { readonly cluster: { readonly server: string } }[];
  }
  const { protocol, port, pathname } = new URL(read<Kubeconfig>('webhook.yaml').clusters[0]!.cluster.server);
  const { webhook } = k8sAuditReceiverSchema.parse({ webhook: {} });
  assert.deepEqual([protocol, port, pathname], ['https:', `${webhook!.port}`, webhook!.path]);
});
