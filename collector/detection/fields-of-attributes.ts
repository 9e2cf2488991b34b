import type { AttributeValue } from './attribute-value.ts';
import { auditFieldOf } from './audit-attributes.ts';
import type { FieldValue } from './detection.ts';
import { FIELD_ATTRIBUTES } from './field-attributes.ts';

/** Attributes that are made from others, or that the detection has apart. */
const DERIVED =
  /^(log\.record\.uid|security_rule\..*|shikra\.(priority|event\.source|rule\.tags|threat\..*)|process\.executable\.name|process\.interactive|error\.type|network\.type|file\.(directory|name|extension)|host\.(name|id))$/;

const FIELD_OF = new Map<string, string>();
for (const [field, attribute] of FIELD_ATTRIBUTES) if (!FIELD_OF.has(attribute)) FIELD_OF.set(attribute, field);
for (const [attribute, field] of Object.entries({
  'container.id': 'container.id',
  'shikra.fd.type': 'fd.type',
  'shikra.fd.name': 'fd.name',
  'network.transport': 'fd.l4proto',
  'file.path': 'fd.name',
  'file.inode': 'fd.ino',
  'file.symbolic_link.target_path': 'fs.path.target',
  'container.image.repo_digests': 'container.image.digest',
}))
  FIELD_OF.set(attribute, field);

/** What stands before the rest of a field's name. */
const PREFIXES: readonly (readonly [attribute: string, field: string])[] = [
  ['shikra.field.', ''],
  ['shikra.event.', 'evt.'],
  ['container.label.', 'container.label.'],
  ['k8s.pod.label.', 'k8s.pod.label.'],
];

/** A container's full id is cut to this, as Falco shows it. */
const SHORT_ID = 12;

/**
 * The way back from a log record's attributes to the fields of rules that they were made from, so that filters, outputs and messages work on a detection that
 * came as a record. What has no field keeps the attribute's name.
 */
export function fieldsOfAttributes(
  attributes: Readonly<Record<string, AttributeValue>>,
  source: string,
): Record<string, FieldValue> {
  const isAudit = source === 'k8s_audit';
  const fields: Record<string, FieldValue> = {};
  for (const [attribute, value] of Object.entries(attributes)) {
    const field = (isAudit ? auditFieldOf(attribute) : undefined) ?? fieldOf(attribute);
    if (field !== undefined) fields[field] = value;
  }
  const containerId = fields['container.id'];
  if (typeof containerId === 'string' && containerId.length > SHORT_ID) {
    fields['container.full_id'] = containerId;
    fields['container.id'] = containerId.slice(0, SHORT_ID);
  }
  // A record says nothing of a container where there is none; conditions ask for this word.
  if (source === 'syscall' && containerId === undefined) fields['container.id'] = 'host';
  const [digest] = [fields['container.image.digest']].flat();
  if (typeof digest === 'string') fields['container.image.digest'] = digest.slice(digest.indexOf('@') + 1);
  const tag = fields['container.image.tag'];
  if (Array.isArray(tag) && tag.length === 1) fields['container.image.tag'] = tag[0] as string;
  return fields;
}

function fieldOf(attribute: string): string | undefined {
  const known = FIELD_OF.get(attribute);
  if (known !== undefined) return known;
  if (DERIVED.test(attribute)) return undefined;
  const [before, instead] = PREFIXES.find(([prefix]) => attribute.startsWith(prefix)) ?? ['', ''];
  return `${instead}${attribute.slice(before.length)}`;
}
