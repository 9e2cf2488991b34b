import type { AttributeValue, DetectionAttributes } from './attribute-value.ts';
import type { FieldValue } from './detection.ts';

const PREFIX = 'ka.';

/** Resources whose name OpenTelemetry's conventions have an attribute for. */
const NAME_ATTRIBUTES: Readonly<Record<string, string>> = {
  pods: 'k8s.pod.name',
  deployments: 'k8s.deployment.name',
  replicasets: 'k8s.replicaset.name',
  statefulsets: 'k8s.statefulset.name',
  daemonsets: 'k8s.daemonset.name',
  jobs: 'k8s.job.name',
  cronjobs: 'k8s.cronjob.name',
  nodes: 'k8s.node.name',
  namespaces: 'k8s.namespace.name',
};

/** `http.request.method` has one of these, or none of ours. */
const HTTP_METHODS = new Set(['get', 'head', 'post', 'put', 'delete', 'connect', 'options', 'trace', 'patch']);

/** Parameters that the conventions for `url.query` want hidden, and those that hold tokens. */
const SECRET_PARAMETERS =
  /([?&](?:AWSAccessKeyId|Signature|sig|X-Goog-Signature|(?:access_|id_|refresh_)?token)=)[^&]*/gi;

/** Fields that become attributes under another name, or in more than one way. */
const HANDLED: Readonly<Record<string, (attributes: DetectionAttributes, value: FieldValue) => void>> = {
  'ka.auditid': (attributes, value) => {
    attributes['shikra.k8s.audit.id'] = String(value);
  },
  'ka.user.name': (attributes, value) => {
    attributes['user.name'] = String(value);
  },
  'ka.user.groups': (attributes, value) => {
    attributes['user.roles'] = texts(value);
  },
  'ka.useragent': (attributes, value) => {
    attributes['user_agent.original'] = String(value);
  },
  'ka.cluster.name': (attributes, value) => {
    attributes['k8s.cluster.name'] = String(value);
  },
  'ka.uri': (attributes, value) => {
    const uri = String(value);
    const query = uri.indexOf('?');
    attributes['url.path'] = query < 0 ? uri : uri.slice(0, query);
    if (query >= 0) attributes['url.query'] = uri.slice(query).replace(SECRET_PARAMETERS, '$1REDACTED').slice(1);
  },
  'ka.response.code': (attributes, value) => {
    const code = Number(value);
    if (Number.isInteger(code)) attributes['http.response.status_code'] = code;
  },
  /** The client comes first, then the proxies on the way. */
  'ka.sourceips': (attributes, value) => {
    const addresses = texts(value);
    if (addresses[0] !== undefined) attributes['client.address'] = addresses[0];
    if (addresses.length > 1) attributes['shikra.k8s.audit.sourceips'] = addresses;
  },
};

const FIELD_OF_ATTRIBUTE: Readonly<Record<string, string>> = {
  'shikra.k8s.audit.id': 'ka.auditid',
  'user.name': 'ka.user.name',
  'user.roles': 'ka.user.groups',
  'user_agent.original': 'ka.useragent',
  'k8s.cluster.name': 'ka.cluster.name',
  'url.path': 'ka.uri',
  'http.response.status_code': 'ka.response.code',
  'client.address': 'ka.sourceips',
};
const AUDIT_ATTRIBUTE = 'shikra.k8s.audit.';

/** The way back: the field that an attribute was made from, if it was one of an audit event. */
export function auditFieldOf(attribute: string): string | undefined {
  if (Object.hasOwn(FIELD_OF_ATTRIBUTE, attribute)) return FIELD_OF_ATTRIBUTE[attribute];
  return attribute.startsWith(AUDIT_ATTRIBUTE) ? `${PREFIX}${attribute.slice(AUDIT_ATTRIBUTE.length)}` : undefined;
}

/** What a Kubernetes audit event tells, as attributes after OpenTelemetry's conventions; the rest is under `shikra.k8s.audit.`. Adds to `used` what it took. */
export function addAudit(
  attributes: DetectionAttributes,
  fields: ReadonlyMap<string, FieldValue>,
  used: Set<string>,
): void {
  for (const [field, value] of fields) {
    if (!field.startsWith(PREFIX)) continue;
    used.add(field);
    if (Object.hasOwn(HANDLED, field)) HANDLED[field]!(attributes, value);
    else attributes[auditName(field)] = attributeOf(value);
  }
  addTarget(attributes, fields);
  addMethod(attributes, fields);
}

function addTarget(attributes: DetectionAttributes, fields: ReadonlyMap<string, FieldValue>): void {
  const namespace = fields.get('ka.target.namespace');
  if (namespace !== undefined) attributes['k8s.namespace.name'] = String(namespace);
  const resource = String(fields.get('ka.target.resource'));
  const isObject = fields.get('ka.target.subresource') === undefined;
  // Of a pod that gets its name at its creation only the answer knows it.
  const name = fields.get('ka.target.name') ?? (isObject ? fields.get('ka.resp.name') : undefined);
  if (name !== undefined && Object.hasOwn(NAME_ATTRIBUTES, resource))
    attributes[NAME_ATTRIBUTES[resource]!] = String(name);
}

/** A verb of Kubernetes is no method of HTTP, though it may look like one; but for requests that are about no resource. */
function addMethod(attributes: DetectionAttributes, fields: ReadonlyMap<string, FieldValue>): void {
  const verb = String(fields.get('ka.verb'));
  const isAboutResource = fields.has('ka.target.resource') || !fields.has('ka.uri');
  if (!isAboutResource && HTTP_METHODS.has(verb)) attributes['http.request.method'] = verb.toUpperCase();
}

/** `ka.uri.param[command]` -> `shikra.k8s.audit.uri.param.command`. */
function auditName(field: string): string {
  const readable = field.slice(PREFIX.length).replace(/\[([^\]]*)\]/g, '.$1');
  const clean = readable
    .toLowerCase()
    .replace(/[^a-z0-9_.]+/g, '_')
    .replace(/\.{2,}/g, '.');
  return `shikra.k8s.audit.${clean.replace(/[._]+$/, '')}`;
}

function attributeOf(value: FieldValue): AttributeValue {
  if (Array.isArray(value)) return [...(value as readonly string[])];
  return typeof value === 'bigint' ? String(value) : (value as string | number | boolean);
}

function texts(value: FieldValue): string[] {
  return Array.isArray(value) ? [...(value as readonly string[])] : [String(value)];
}
