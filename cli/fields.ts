import { FIELDS, type FieldDefinition } from '../rules/index.ts';
import { type Collected, knownSources } from './collected.ts';
import { type FieldClass, fieldsByClass } from './field-classes.ts';

export interface FieldsOptions {
  readonly json?: boolean;
  readonly source?: string;
  readonly names?: boolean;
}

interface ShownField {
  readonly definition: FieldDefinition;
  /** Undefined if it cannot be said. */
  readonly collected: boolean | undefined;
}

/** `shikra fields`: every field that rules can name. @returns the exit code */
export async function fields(options: FieldsOptions): Promise<number> {
  const { sources, missing } = await knownSources();
  const classes = [...fieldsByClass()]
    .filter(([{ sources: of }]) => options.source === undefined || of.includes(options.source))
    .map(([fieldClass, names]) => ({
      fieldClass,
      fields: names.map((name) => shown(FIELDS.get(name)!, fieldClass, wantedSources(fieldClass, options), sources)),
    }));
  if (options.names)
    console.log(classes.flatMap((one) => one.fields.map(({ definition }) => definition.name)).join('\n'));
  else if (options.json)
    console.log(
      JSON.stringify(
        classes.map(({ fieldClass, fields }) => classJson(fieldClass, fields)),
        null,
        2,
      ),
    );
  else {
    console.log(classes.map(({ fieldClass, fields }) => classText(fieldClass, fields)).join('\n\n'));
    console.log('\n[i] an index, [k] a name, (…) may be left out; `-` is not collected here: a check of it is false.');
    if (missing !== undefined) console.error(`shikra: \`?\` cannot be said: ${missing}`);
  }
  return 0;
}

function wantedSources({ sources }: FieldClass, { source }: FieldsOptions): readonly string[] {
  return source === undefined ? sources : [source];
}

function shown(
  definition: FieldDefinition,
  fieldClass: FieldClass,
  of: readonly string[],
  known: readonly Collected[],
): ShownField {
  if (fieldClass.ofEngine) return { definition, collected: true };
  const argument = definition.argument === 'required' ? sampleArgument(definition) : undefined;
  const reference = argument === undefined ? { name: definition.name } : { name: definition.name, argument };
  if (known.some((source) => of.includes(source.source) && source.has(reference)))
    return { definition, collected: true };
  const isUnknown = of.some((source) => !known.some((one) => one.source === source));
  return { definition, collected: isUnknown ? undefined : false };
}

/** A field with an argument is collected if it is with one that exists. */
function sampleArgument({ name, argumentKind }: FieldDefinition): string {
  if (argumentKind === 'index') return '1';
  return name === 'evt.arg' || name === 'evt.rawarg' ? 'fd' : 'key';
}

function argumentText({ argument, argumentKind }: FieldDefinition): string {
  if (argument === 'none') return '';
  const text = argumentKind === 'index' ? '[i]' : '[k]';
  return argument === 'required' ? text : `(${text})`;
}

function classText({ name, description, sources }: FieldClass, fields: readonly ShownField[]): string {
  const names = fields.map(({ definition }) => definition.name + argumentText(definition));
  const width = Math.max(...names.map((text) => text.length));
  const lines = fields.map(({ definition, collected }, index) => {
    const type = definition.isList ? `${definition.type} list` : definition.type;
    const mark = collected === undefined ? '?' : collected ? ' ' : '-';
    const notes = `${definition.filterOnly ? ' (in conditions only)' : ''}${definition.deprecated ? ' (deprecated)' : ''}`;
    return `${mark} ${names[index]!.padEnd(width)}  ${type.padEnd(12)}  ${definition.description}${notes}`;
  });
  return [`${name}: ${description} (${sources.join(', ')})`, ...lines].join('\n');
}

/** A class as `falco --list --format json` has it; `collected`, `filter_only` and `deprecated` are ours. */
function classJson({ name, description, sources }: FieldClass, fields: readonly ShownField[]): object {
  return {
    name,
    desc: description,
    event_sources: sources,
    fields: fields.map(({ definition, collected }) => ({
      name: definition.name,
      type: definition.type,
      desc: definition.description,
      is_list: definition.isList,
      argument: argumentJson(definition),
      collected: collected ?? null,
      filter_only: definition.filterOnly,
      deprecated: definition.deprecated,
    })),
  };
}

function argumentJson({ argument, argumentKind }: FieldDefinition): object | null {
  if (argument === 'none') return null;
  return { required: argument === 'required', type: [argumentKind === 'index' ? 'INDEX' : 'KEY'] };
}
