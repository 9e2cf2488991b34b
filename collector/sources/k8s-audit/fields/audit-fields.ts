import type { AuditEvent } from '../audit-event.ts';
import { dig, fieldText, items, listOf, member } from '../json.ts';
import { type ArgumentGetter, type FieldTable, plain } from './context.ts';

/** A value as text. */
export function textAt(...keys: string[]): ArgumentGetter {
  return plain((event) => fieldText(dig(event.audit, keys)));
}

/** The items of a list as text. With an index, that one alone. */
export function listAt(...keys: string[]): ArgumentGetter {
  return (argument) => (event) => listOf(select(items(dig(event.audit, keys)), argument));
}

/** All items, or the one with the index that the rule gives. */
export function select(all: readonly unknown[], index: string | undefined): readonly unknown[] {
  return index === undefined ? all : all.slice(Number(index), Number(index) + 1);
}

function annotation(name: string): ArgumentGetter {
  return textAt('annotations', name);
}

/** One parameter of the query. Of several with the same name the first, as in Falco. */
const uriParameter: ArgumentGetter = (argument) => {
  if (argument === undefined) return undefined;
  return (event) => {
    const uri = member(event.audit, 'requestURI');
    if (typeof uri !== 'string') return undefined;
    const query = uri.indexOf('?');
    return query < 0 ? undefined : (new URLSearchParams(uri.slice(query + 1)).get(argument) ?? undefined);
  };
};

function targetPodName({ audit }: AuditEvent): string | undefined {
  const target = member(audit, 'objectRef');
  if (member(target, 'resource') !== 'pods' || member(target, 'subresource') !== undefined) return undefined;
  return fieldText(dig(audit, ['responseObject', 'metadata', 'name']));
}

/** Who asked for what, and what the answer was. */
export const AUDIT_FIELDS: FieldTable = {
  'ka.auditid': textAt('auditID'),
  'ka.stage': textAt('stage'),
  'ka.auth.decision': annotation('authorization.k8s.io/decision'),
  'ka.auth.reason': annotation('authorization.k8s.io/reason'),
  'ka.auth.openshift.decision': annotation('authentication.openshift.io/decision'),
  'ka.auth.openshift.username': annotation('authentication.openshift.io/username'),
  'ka.validations.admission.policy.failure': annotation('validation.policy.admission.k8s.io/validation_failure'),
  'ka.security.pod.violations': annotation('pod-security.kubernetes.io/audit-violations'),
  'ka.user.name': textAt('user', 'username'),
  'ka.user.groups': listAt('user', 'groups'),
  'ka.impuser.name': textAt('impersonatedUser', 'username'),
  'ka.verb': textAt('verb'),
  'ka.uri': textAt('requestURI'),
  'ka.uri.param': uriParameter,
  'ka.target.name': textAt('objectRef', 'name'),
  'ka.target.namespace': textAt('objectRef', 'namespace'),
  'ka.target.resource': textAt('objectRef', 'resource'),
  'ka.target.subresource': textAt('objectRef', 'subresource'),
  'ka.target.pod.name': plain(targetPodName),
  'ka.resp.name': textAt('responseObject', 'metadata', 'name'),
  'ka.response.code': textAt('responseStatus', 'code'),
  'ka.response.reason': textAt('responseStatus', 'reason'),
  'ka.useragent': textAt('userAgent'),
  'ka.sourceips': listAt('sourceIPs'),
  'ka.cluster.name': annotation('cluster_name'),
};
