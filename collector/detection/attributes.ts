import { createHash } from 'node:crypto';
import type { AttributeValue, DetectionAttributes } from './attribute-value.ts';
import { addAudit } from './audit-attributes.ts';
import { compactText } from './compact.ts';
import type { Detection, FieldValue } from './detection.ts';

type Convert = (value: FieldValue) => AttributeValue | undefined;

const text: Convert = (value) => (Array.isArray(value) ? value.join(' ') : String(value));
const list: Convert = (value) => (Array.isArray(value) ? [...value] : [String(value)]);
const flag: Convert = (value) => value === true || value === 'true' || value === 1;
const notHost: Convert = (value) => (value === 'host' || value === '' ? undefined : text(value));

const whole: Convert = (value) => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number === 'bigint') return Number.isSafeInteger(Number(number)) ? Number(number) : String(number);
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
};

/** The audit login id is unset (-1, or its unsigned form) for daemons. */
const loginId: Convert = (value) => {
  const id = whole(value);
  return id === -1 || id === 4294967295 ? undefined : id;
};

const creationTime: Convert = (value) => {
  const nanos = typeof value === 'bigint' ? value : typeof value === 'number' ? BigInt(Math.trunc(value)) : undefined;
  return nanos === undefined ? text(value) : new Date(Number(nanos / 1_000_000n)).toISOString();
};

/**
 * Rule field -> attribute, after OpenTelemetry's semantic conventions; what they have no name for is under `shikra.`.
 * Several fields may name one attribute: the first that has a value wins, in the order of this table.
 */
export const FIELD_ATTRIBUTES: readonly (readonly [field: string, attribute: string, convert: Convert])[] = [
  ['evt.type', 'shikra.event.type', text],
  ['evt.dir', 'shikra.event.direction', text],
  ['evt.num', 'shikra.event.number', text],
  ['evt.res', 'shikra.event.result', text],
  ['evt.rawres', 'shikra.event.raw_result', whole],
  ['shikra.evt.abi', 'shikra.event.abi', text],
  ['shikra.evt.raced', 'shikra.event.raced', flag],
  ['evt.unreadable', 'shikra.event.unreadable', list],
  ['evt.truncated', 'shikra.event.truncated', list],
  ['evt.uncertain', 'shikra.event.uncertain', list],

  ['proc.exepath', 'process.executable.path', text],
  ['proc.exe', 'process.command', text],
  ['proc.cmdline', 'process.command_line', text],
  ['proc.name', 'shikra.process.comm', text],
  ['proc.pid', 'process.pid', whole],
  ['proc.vpid', 'process.vpid', whole],
  ['proc.ppid', 'process.parent_pid', whole],
  ['proc.sid', 'process.session_leader.pid', whole],
  ['proc.pgid', 'process.group_leader.pid', whole],
  ['proc.cwd', 'process.working_directory', text],
  ['proc.pid.ts', 'process.creation.time', creationTime],
  ['thread.cgroups', 'process.linux.cgroup', text],
  ['proc.tty', 'shikra.process.tty', whole],
  ['proc.pname', 'shikra.process.parent.name', text],
  ['proc.pcmdline', 'shikra.process.parent.command_line', text],
  ['proc.pexepath', 'shikra.process.parent.executable_path', text],
  ['proc.aname', 'shikra.process.ancestors', list],
  ['proc.is_exe_upper_layer', 'shikra.process.exe_upper_layer', flag],
  ['proc.exe_ino', 'shikra.process.exe_inode', text],
  ['thread.tid', 'shikra.thread.tid', whole],

  ['user.uid', 'process.user.id', whole],
  ['user.name', 'process.user.name', text],
  ['user.loginuid', 'shikra.user.login.id', loginId],
  ['user.loginname', 'shikra.user.login.name', text],
  ['group.gid', 'shikra.group.id', whole],
  ['group.name', 'shikra.group.name', text],

  ['container.full_id', 'container.id', notHost],
  ['container.id', 'container.id', notHost],
  ['container.name', 'container.name', notHost],
  ['container.image.repository', 'container.image.name', text],
  ['container.image.tag', 'container.image.tags', list],
  ['container.image.id', 'container.image.id', text],
  ['container.type', 'container.runtime.name', notHost],
  ['container.privileged', 'shikra.container.privileged', flag],

  ['k8s.pod.name', 'k8s.pod.name', text],
  ['k8s.pod.uid', 'k8s.pod.uid', text],
  ['k8s.pod.ip', 'k8s.pod.ip', text],
  ['k8s.ns.name', 'k8s.namespace.name', text],
  ['k8s.container.name', 'k8s.container.name', text],
  ['k8s.deployment.name', 'k8s.deployment.name', text],
  ['k8s.rs.name', 'k8s.replicaset.name', text],
  ['k8s.replicaset.name', 'k8s.replicaset.name', text],
  ['k8s.daemonset.name', 'k8s.daemonset.name', text],
  ['k8s.statefulset.name', 'k8s.statefulset.name', text],
  ['k8s.job.name', 'k8s.job.name', text],
  ['k8s.cronjob.name', 'k8s.cronjob.name', text],

  ['fd.cip', 'client.address', text],
  ['fd.cport', 'client.port', whole],
  ['fd.sip', 'server.address', text],
  ['fd.sport', 'server.port', whole],
  ['fd.lip', 'network.local.address', text],
  ['fd.lport', 'network.local.port', whole],
  ['fd.rip', 'network.peer.address', text],
  ['fd.rport', 'network.peer.port', whole],
];

const FIELD_OF = new Map(FIELD_ATTRIBUTES.map((entry) => [entry[0], entry]));

/** Fields that become attributes in more than one way, below, or that the record says elsewhere. */
const HANDLED_APART = new Set([
  'evt.time',
  'evt.time.iso8601',
  'evt.rawtime',
  'evt.hostname',
  'evt.source',
  'container.image.digest',
]);

const TRANSPORTS = new Set(['tcp', 'udp', 'unix', 'pipe', 'quic', 'icmp', 'raw']);
const CATEGORIES = ['process', 'network', 'filesystem', 'container', 'k8s', 'users'];

/** Adds all that is known of the event's subject. */
export function addSubject(attributes: DetectionAttributes, detection: Detection): void {
  const fields = new Map<string, FieldValue>();
  for (const source of [detection.output_fields, detection.evidence]) {
    for (const name of Object.keys(source)) {
      const value = source[name];
      if (value !== null && value !== undefined && value !== '<NA>') fields.set(name, value);
    }
  }
  for (const [field, attribute, convert] of FIELD_ATTRIBUTES) {
    const value = fields.get(field);
    if (value === undefined || attribute in attributes) continue;
    const converted = convert(value);
    if (converted !== undefined) attributes[attribute] = converted;
  }
  addProcess(attributes, fields);
  addImageDigest(attributes, fields);
  const used = addDescriptor(attributes, fields);
  if (detection.source === 'k8s_audit') addAudit(attributes, fields, used);
  addRest(attributes, fields, used);
}

function addProcess(attributes: DetectionAttributes, fields: ReadonlyMap<string, FieldValue>): void {
  const path = attributes['process.executable.path'];
  const comm = attributes['shikra.process.comm'];
  // The kernel cuts comm at 15 characters and a process may rename itself, so the file's name is the better one.
  const name =
    typeof path === 'string' && path.startsWith('/') ? compactText(path.slice(path.lastIndexOf('/') + 1)) : comm;
  if (typeof name === 'string' && name !== '') attributes['process.executable.name'] = name;
  const tty = attributes['shikra.process.tty'];
  if (tty !== undefined) attributes['process.interactive'] = tty !== 0;
  if (!('shikra.process.ancestors' in attributes)) {
    const ancestors = ancestorNames(fields);
    if (ancestors.length > 0) attributes['shikra.process.ancestors'] = ancestors;
  }
  const result = fields.get('evt.res');
  if (typeof result === 'string' && /^E[A-Z0-9]+$/.test(result)) attributes['error.type'] = result;
}

/** `proc.aname[1]`, `proc.aname[2]`, ... as far as they go without a gap. */
function ancestorNames(fields: ReadonlyMap<string, FieldValue>): string[] {
  const names: string[] = [];
  for (let index = 1; ; index++) {
    const name = fields.get(`proc.aname[${index}]`) ?? (index === 1 ? fields.get('proc.pname') : undefined);
    if (name === undefined) return names.length === 1 && !fields.has('proc.aname[1]') ? [] : names;
    names.push(String(name));
  }
}

function addImageDigest(attributes: DetectionAttributes, fields: ReadonlyMap<string, FieldValue>): void {
  const digest = fields.get('container.image.digest');
  if (digest === undefined) return;
  const repository = fields.get('container.image.repository');
  const written = String(digest);
  attributes['container.image.repo_digests'] = [
    compactText(written.includes('@') || repository === undefined ? written : `${repository}@${written}`),
  ];
}

/** The file or socket that the event is about. `file.*` only for a file: a socket's `fd.name` is a tuple. */
function addDescriptor(attributes: DetectionAttributes, fields: ReadonlyMap<string, FieldValue>): Set<string> {
  const used = new Set(['fd.type', 'fd.typechar', 'fd.l4proto', 'fd.name']);
  const type = fields.get('fd.type');
  const character = fields.get('fd.typechar');
  const name = fields.get('fd.name');
  if (type !== undefined) attributes['shikra.fd.type'] = String(type);
  if (type === 'ipv4' || type === 'ipv6') attributes['network.type'] = type;
  const transport = fields.get('fd.l4proto') ?? type;
  if (typeof transport === 'string' && TRANSPORTS.has(transport)) attributes['network.transport'] = transport;

  const isFile =
    type === 'file' || type === 'directory' || (type === undefined && (character === 'f' || character === 'd'));
  const onlyPath = type === undefined && character === undefined;
  const path = isFile ? name : onlyPath ? (fields.get('fs.path.name') ?? absolute(name)) : undefined;
  if (path !== undefined) addFile(attributes, String(path), fields, used);
  else if (name !== undefined) attributes['shikra.fd.name'] = String(name);
  return used;
}

function absolute(name: FieldValue | undefined): FieldValue | undefined {
  return typeof name === 'string' && name.startsWith('/') ? name : undefined;
}

function addFile(
  attributes: DetectionAttributes,
  path: string,
  fields: ReadonlyMap<string, FieldValue>,
  used: Set<string>,
): void {
  for (const field of ['fs.path.name', 'fd.directory', 'fd.filename', 'fd.ino']) used.add(field);
  attributes['file.path'] = path;
  const slash = path.lastIndexOf('/');
  const name = compactText(path.slice(slash + 1));
  if (slash >= 0) attributes['file.directory'] = slash === 0 ? '/' : compactText(path.slice(0, slash));
  if (name !== '') attributes['file.name'] = name;
  const dot = name.lastIndexOf('.');
  if (dot > 0 && dot < name.length - 1) attributes['file.extension'] = compactText(name.slice(dot + 1));
  const inode = fields.get('fd.ino');
  if (inode !== undefined) attributes['file.inode'] = String(inode);
  const eventType = fields.get('evt.type');
  const target = fields.get('fs.path.target');
  if (target !== undefined && (eventType === 'symlink' || eventType === 'symlinkat')) {
    used.add('fs.path.target');
    attributes['file.symbolic_link.target_path'] = String(target);
  }
}

/** Fields without a convention: nothing that the rule's output names is missing from the record. */
function addRest(
  attributes: DetectionAttributes,
  fields: ReadonlyMap<string, FieldValue>,
  used: ReadonlySet<string>,
): void {
  for (const [field, value] of fields) {
    if (FIELD_OF.has(field) || used.has(field) || HANDLED_APART.has(field) || field.startsWith('proc.aname[')) continue;
    const name = restName(field);
    if (!(name in attributes))
      attributes[name] = Array.isArray(value) ? [...value] : scalar(value as Exclude<FieldValue, readonly string[]>);
  }
}

/** OpenTelemetry has a name for every label; the key stands as it is. */
const LABEL = /^(container|k8s\.pod)\.label(?:\.(?=.)|\[)(.+?)\]?$/;

const restNames = new Map<string, string>();

function restName(field: string): string {
  const known = restNames.get(field);
  if (known !== undefined) return known;
  const [, of, label] = LABEL.exec(field) ?? [];
  if (label !== undefined) return `${of}.label.${label}`;
  const readable = field.replace(/\[([^\]]*)\]/g, '.$1').toLowerCase();
  const clean = readable
    .replace(/[^a-z0-9_.]+/g, '_')
    .replace(/\.{2,}/g, '.')
    .replace(/[._]+$/, '');
  const name = clean.startsWith('shikra.')
    ? clean
    : clean.startsWith('evt.')
      ? `shikra.event.${clean.slice(4)}`
      : `shikra.field.${clean}`;
  if (restNames.size < 10_000) restNames.set(field, name);
  return name;
}

function scalar(value: string | number | bigint | boolean): AttributeValue {
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

/** What is the same for every detection of a rule. */
interface RuleAttributes {
  readonly tags: readonly string[];
  readonly description: string;
  readonly attributes: DetectionAttributes;
}

const MOST_RULES = 10_000;
const rules = new Map<string, RuleAttributes>();

/** Adds what is the same for every detection of a rule. */
export function addRule(attributes: DetectionAttributes, detection: Detection): void {
  const { ruleset, rule, tags, description } = detection;
  const key = `${ruleset}\n${rule}`;
  let known = rules.get(key);
  // After a reload a rule may have other tags.
  if (known === undefined || known.description !== description || !sameItems(known.tags, tags)) {
    known = { tags, description, attributes: ruleAttributes(detection) };
    if (rules.size >= MOST_RULES) rules.clear();
    rules.set(key, known);
  }
  Object.assign(attributes, known.attributes);
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function ruleAttributes({ ruleset, rule, tags, description }: Detection): DetectionAttributes {
  const category = CATEGORIES.find((name) => tags.includes(name));
  const techniques = tags.filter((tag) => /^T\d{4}(\.\d{3})?$/.test(tag));
  const tactics = tags.filter((tag) => tag.startsWith('mitre_')).map((tag) => compactText(tag.slice('mitre_'.length)));
  return {
    'security_rule.name': rule,
    'security_rule.uuid': ruleUuid(ruleset, rule),
    'security_rule.ruleset.name': ruleset,
    ...(description !== '' && { 'security_rule.description': description }),
    ...(category !== undefined && { 'security_rule.category': category }),
    ...(tags.length > 0 && { 'shikra.rule.tags': [...tags] }),
    ...(techniques.length > 0 && { 'shikra.threat.technique.ids': techniques }),
    ...(tactics.length > 0 && { 'shikra.threat.tactic.names': tactics }),
  };
}

/** A UUIDv8 of the rule's file and name: the same on every node that has the rule. */
function ruleUuid(ruleset: string, rule: string): string {
  const hex = createHash('sha256').update('shikra.rule\n').update(`${ruleset}\n${rule}`).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return compactText(
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
  );
}
