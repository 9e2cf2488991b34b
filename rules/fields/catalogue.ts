import { CONTAINER_FIELDS, K8S_FIELDS, METADATA_FIELD } from './container.ts';
import { EVT_FIELDS, PATH_ARGUMENTS } from './evt.ts';
import { FD_FIELDS } from './fd.ts';
import { type FieldDefinition, field } from './field.ts';
import { FS_PATH_FIELDS } from './fs-path.ts';
import { JSON_FIELDS, K8S_AUDIT_FIELDS } from './k8s-audit.ts';
import { PROC_FIELDS } from './proc.ts';
import { USER_FIELDS } from './user.ts';

/** What a threshold counted: known when a rule fires, and only then. */
export const COUNT_FIELD = 'shikra.count';

/** Every field that a rule can name, by name. Whether a source collects it is for its resolver to say. */
export const FIELDS: ReadonlyMap<string, FieldDefinition> = new Map(
  [
    ...EVT_FIELDS,
    ...FD_FIELDS,
    ...FS_PATH_FIELDS,
    ...PROC_FIELDS,
    ...USER_FIELDS,
    ...CONTAINER_FIELDS,
    ...K8S_FIELDS,
    METADATA_FIELD,
    ...K8S_AUDIT_FIELDS,
    ...JSON_FIELDS,
    field(COUNT_FIELD, 'UINT64', 'in outputs: how many matches a rule with a threshold counted; 1 for other rules'),
  ].map((definition) => [definition.name, definition]),
);

/** A field with its argument, whichever way the argument was written: `evt.arg.flags` and `evt.arg[flags]` are one. */
export interface FieldReference {
  readonly name: string;
  readonly argument?: string;
}

export interface FoundField {
  readonly definition: FieldDefinition;
  readonly reference: FieldReference;
}

/** Fields whose argument may follow a dot. */
const DOTTED_ARGUMENT = /^(evt\.(?:arg|rawarg|type\.is)|(?:container|k8s\.\w+)\.label)\.(.+)$/;

/**
 * Finds what a field text names.
 * @param name the text before a bracket
 * @param argument the text in the bracket
 */
export function findField(name: string, argument?: string): FoundField | undefined {
  const exact = FIELDS.get(name);
  if (exact !== undefined)
    return { definition: exact, reference: argument === undefined ? { name } : { name, argument } };
  const dotted = argument === undefined ? DOTTED_ARGUMENT.exec(name) : null;
  if (dotted === null) return undefined;
  const definition = FIELDS.get(dotted[1]!);
  return definition && { definition, reference: { name: definition.name, argument: dotted[2]! } };
}

/** True if the value can be a path with several spellings. */
export function holdsPath(found: FoundField): boolean {
  if (found.reference.name !== 'evt.arg') return found.definition.isPath;
  return PATH_ARGUMENTS.has(found.reference.argument ?? '');
}

/** The text that a rule writes for a field: the key in `output_fields`. */
export function fieldText(reference: FieldReference): string {
  if (reference.argument === undefined) return reference.name;
  const dotted = `${reference.name}.${reference.argument}`;
  if (reference.name === 'evt.arg' && DOTTED_ARGUMENT.test(dotted)) return dotted;
  return `${reference.name}[${reference.argument}]`;
}
