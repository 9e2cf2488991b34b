import type { AttributeList } from './attribute-list.ts';
import type { AttributeValue, DetectionAttributes } from './attribute-value.ts';
import { addAudit } from './audit-attributes.ts';
import { compactText } from './compact.ts';
import type { Detection, FieldValue } from './detection.ts';
import { FIELD_ATTRIBUTES } from './field-attributes.ts';

/** Fields that become attributes in more than one way, below, or that the record says elsewhere. */
const HANDLED_APART = [
  'evt.time',
  'evt.time.iso8601',
  'evt.rawtime',
  'evt.hostname',
  'evt.source',
  'container.image.digest',
  'fd.type',
  'fd.typechar',
  'fd.l4proto',
  'fd.name',
];
/** Those that a file's attributes say; of what is no file they are as others. */
const OF_FILES = ['fs.path.name', 'fd.directory', 'fd.filename', 'fd.ino', 'fs.path.target'];

/** Every field that this module knows has a place; the first are those of {@link FIELD_ATTRIBUTES}. */
const PLACES = new Map(
  [...FIELD_ATTRIBUTES.map(([field]) => field), ...HANDLED_APART, ...OF_FILES].map((field, place) => [field, place]),
);
/** Attributes that several fields become: the first that has a value wins. */
const SHARED = new Set(
  FIELD_ATTRIBUTES.map(([, attribute]) => attribute).filter((name, index, all) => all.indexOf(name) !== index),
);

const TRANSPORTS = new Set(['tcp', 'udp', 'unix', 'pipe', 'quic', 'icmp', 'raw']);

/** The fields of one detection. There is one of these, used for each in turn: a map made for each would cost more than all else here. */
class Fields {
  readonly #known: (FieldValue | undefined)[] = new Array(PLACES.size).fill(undefined);
  readonly #otherNames: string[] = [];
  readonly #otherValues: FieldValue[] = [];

  /** What the output names, and what is known besides; where both say something, the latter. */
  read({ output_fields, evidence }: Detection): void {
    this.#known.fill(undefined);
    this.#otherNames.length = 0;
    this.#otherValues.length = 0;
    // Plain data inherits nothing, and Object.keys makes a list.
    for (const name in output_fields) this.#put(name, output_fields[name]);
    for (const name in evidence) this.#put(name, evidence[name]);
  }

  get(name: string): FieldValue | undefined {
    const place = PLACES.get(name);
    if (place !== undefined) return this.#known[place];
    const other = this.#otherNames.indexOf(name);
    return other < 0 ? undefined : this.#otherValues[other];
  }

  at(place: number): FieldValue | undefined {
    return this.#known[place];
  }

  /** Those that have no place. */
  eachOther(tell: (name: string, value: FieldValue) => void): void {
    for (let index = 0; index < this.#otherNames.length; index++)
      tell(this.#otherNames[index]!, this.#otherValues[index]!);
  }

  /** All of them. */
  toMap(): Map<string, FieldValue> {
    const all = new Map<string, FieldValue>();
    for (const [name, place] of PLACES) {
      const value = this.#known[place];
      if (value !== undefined) all.set(name, value);
    }
    this.eachOther((name, value) => all.set(name, value));
    return all;
  }

  #put(name: string, value: FieldValue | null | undefined): void {
    if (value === null || value === undefined || value === '<NA>') return;
    const place = PLACES.get(name);
    if (place !== undefined) {
      this.#known[place] = value;
      return;
    }
    const other = this.#otherNames.indexOf(name);
    if (other >= 0) this.#otherValues[other] = value;
    else {
      this.#otherNames.push(name);
      this.#otherValues.push(value);
    }
  }
}

const fields = new Fields();

/** Adds all that is known of the event's subject. */
export function addSubject(attributes: AttributeList, detection: Detection): void {
  fields.read(detection);
  for (let place = 0; place < FIELD_ATTRIBUTES.length; place++) {
    const value = fields.at(place);
    if (value === undefined) continue;
    const [, attribute, convert] = FIELD_ATTRIBUTES[place]!;
    if (SHARED.has(attribute) && attributes.has(attribute)) continue;
    const converted = convert(value);
    if (converted !== undefined) attributes.add(attribute, converted);
  }
  addProcess(attributes);
  addImageDigest(attributes);
  const path = addDescriptor(attributes);
  const said = path === undefined ? [] : addFile(attributes, path);
  for (const name of OF_FILES) {
    const value = said.includes(name) ? undefined : fields.get(name);
    if (value !== undefined) addRest(attributes, name, value);
  }
  const audited = detection.source === 'k8s_audit' ? setAudit(attributes) : undefined;
  fields.eachOther((name, value) => {
    if (audited?.has(name) || name.startsWith('proc.aname[')) return;
    addRest(attributes, name, value);
  });
}

function addProcess(attributes: AttributeList): void {
  const path = attributes.get('process.executable.path');
  const comm = attributes.get('shikra.process.comm');
  // The kernel cuts comm at 15 characters and a process may rename itself, so the file's name is the better one.
  const name =
    typeof path === 'string' && path.startsWith('/') ? compactText(path.slice(path.lastIndexOf('/') + 1)) : comm;
  if (typeof name === 'string' && name !== '') attributes.add('process.executable.name', name);
  const tty = attributes.get('shikra.process.tty');
  if (tty !== undefined) attributes.add('process.interactive', tty !== 0);
  if (!attributes.has('shikra.process.ancestors')) {
    const ancestors = ancestorNames();
    if (ancestors.length > 0) attributes.add('shikra.process.ancestors', ancestors);
  }
  const result = fields.get('evt.res');
  if (typeof result === 'string' && /^E[A-Z0-9]+$/.test(result)) attributes.add('error.type', result);
}

/** `proc.aname[1]`, `proc.aname[2]`, ... as far as they go without a gap. */
function ancestorNames(): string[] {
  const names: string[] = [];
  for (let index = 1; ; index++) {
    const name = fields.get(`proc.aname[${index}]`) ?? (index === 1 ? fields.get('proc.pname') : undefined);
    if (name === undefined) return names.length === 1 && fields.get('proc.aname[1]') === undefined ? [] : names;
    names.push(String(name));
  }
}

function addImageDigest(attributes: AttributeList): void {
  const digest = fields.get('container.image.digest');
  if (digest === undefined) return;
  const repository = fields.get('container.image.repository');
  const written = String(digest);
  attributes.add('container.image.repo_digests', [
    compactText(written.includes('@') || repository === undefined ? written : `${repository}@${written}`),
  ]);
}

/**
 * The file or socket that the event is about. `file.*` only for a file: a socket's `fd.name` is a tuple.
 * @returns the path of a file, which is yet to be added
 */
function addDescriptor(attributes: AttributeList): string | undefined {
  const type = fields.get('fd.type');
  const character = fields.get('fd.typechar');
  const name = fields.get('fd.name');
  if (type !== undefined) attributes.add('shikra.fd.type', String(type));
  if (type === 'ipv4' || type === 'ipv6') attributes.add('network.type', type);
  const transport = fields.get('fd.l4proto') ?? type;
  if (typeof transport === 'string' && TRANSPORTS.has(transport)) attributes.add('network.transport', transport);

  const isFile =
    type === 'file' || type === 'directory' || (type === undefined && (character === 'f' || character === 'd'));
  const onlyPath = type === undefined && character === undefined;
  const path = isFile ? name : onlyPath ? (fields.get('fs.path.name') ?? absolute(name)) : undefined;
  if (path === undefined && name !== undefined) attributes.add('shikra.fd.name', String(name));
  return path === undefined ? undefined : String(path);
}

function absolute(name: FieldValue | undefined): FieldValue | undefined {
  return typeof name === 'string' && name.startsWith('/') ? name : undefined;
}

/** @returns the fields of {@link OF_FILES} that need not be said again */
function addFile(attributes: AttributeList, path: string): readonly string[] {
  attributes.add('file.path', path);
  const slash = path.lastIndexOf('/');
  const name = compactText(path.slice(slash + 1));
  if (slash >= 0) attributes.add('file.directory', slash === 0 ? '/' : compactText(path.slice(0, slash)));
  if (name !== '') attributes.add('file.name', name);
  const dot = name.lastIndexOf('.');
  if (dot > 0 && dot < name.length - 1) attributes.add('file.extension', compactText(name.slice(dot + 1)));
  const inode = fields.get('fd.ino');
  if (inode !== undefined) attributes.add('file.inode', String(inode));
  const eventType = fields.get('evt.type');
  const target = fields.get('fs.path.target');
  if (target === undefined || (eventType !== 'symlink' && eventType !== 'symlinkat')) return OF_ANY_FILE;
  attributes.add('file.symbolic_link.target_path', String(target));
  return OF_FILES;
}

const OF_ANY_FILE = OF_FILES.filter((name) => name !== 'fs.path.target');

/** @returns the fields that it took */
function setAudit(attributes: AttributeList): ReadonlySet<string> {
  const used = new Set<string>();
  const audit: DetectionAttributes = {};
  addAudit(audit, fields.toMap(), used);
  for (const [name, value] of Object.entries(audit)) attributes.set(name, value);
  return used;
}

/** A field without a convention: nothing that the rule's output names is missing from the record. */
function addRest(attributes: AttributeList, field: string, value: FieldValue): void {
  const name = restName(field);
  if (attributes.has(name)) return;
  attributes.add(name, Array.isArray(value) ? [...value] : scalar(value as Exclude<FieldValue, readonly string[]>));
}

/** OpenTelemetry has a name for every label; the key stands as it is. */
const LABEL = /^(container|k8s\.pod)\.label(?:\.(?=.)|\[)(.+?)\]?$/;

const restNames = new Map<string, string>();

function restName(field: string): string {
  const known = restNames.get(field);
  if (known !== undefined) return known;
  const name = compactText(newRestName(field));
  if (restNames.size < 10_000) restNames.set(field, name);
  return name;
}

function newRestName(field: string): string {
  const [, of, label] = LABEL.exec(field) ?? [];
  if (label !== undefined) return `${of}.label.${label}`;
  const readable = field.replace(/\[([^\]]*)\]/g, '.$1').toLowerCase();
  const clean = readable
    .replace(/[^a-z0-9_.]+/g, '_')
    .replace(/\.{2,}/g, '.')
    .replace(/[._]+$/, '');
  if (clean.startsWith('shikra.')) return clean;
  return clean.startsWith('evt.') ? `shikra.event.${clean.slice(4)}` : `shikra.field.${clean}`;
}

function scalar(value: string | number | bigint | boolean): AttributeValue {
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
