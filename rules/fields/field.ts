/** Falco's names of the value types; `fields --list` prints them, so they stay as its users know them. */
export type FieldType =
  | 'CHARBUF'
  | 'FSPATH'
  | 'BYTEBUF'
  | 'BOOL'
  | 'INT64'
  | 'UINT64'
  | 'INT32'
  | 'UINT32'
  | 'DOUBLE'
  | 'PORT'
  | 'IPADDR'
  | 'IPNET'
  | 'RELTIME'
  | 'ABSTIME';

export type ArgumentRule = 'none' | 'optional' | 'required';

/**
 * How many values one event has for a field, and how a check treats them. A field that has several gives them as an array of strings.
 * - `one`: a scalar.
 * - `list`: `in` asks that every element is in the set, `intersects` that one is.
 * - `any`: ancestors (`proc.aname` without an index): the check holds if it holds for one of them, `!=` too.
 * - `two-sided`: `fd.ip`, `fd.net`, `fd.port`: `=` holds if either side matches, `!=` only if both differ. So it is with the names that an address has.
 */
export type Multiplicity = 'one' | 'list' | 'any' | 'two-sided';

/** One field that rules can name. */
export interface FieldDefinition {
  readonly name: string;
  readonly type: FieldType;
  readonly description: string;
  readonly argument: ArgumentRule;
  /** An index counts (`proc.aname[2]`), a key names (`evt.arg.flags`, `proc.env[PATH]`). */
  readonly argumentKind: 'index' | 'key' | undefined;
  /** The multiplicity without an argument; an index makes an `any` field a scalar. */
  readonly multiplicity: Multiplicity;
  readonly isList: boolean;
  /** Usable in conditions only: it has no single value to print. */
  readonly filterOnly: boolean;
  /** The field holds a path, which can have several spellings (see the design's "Paths"). */
  readonly isPath: boolean;
  /** The field is what rules call an address: their names are resolved before events come, so only whole names can be compared. */
  readonly isDomainName: boolean;
  readonly deprecated: boolean;
}

export type FieldOptions = Partial<Omit<FieldDefinition, 'name' | 'type' | 'description' | 'isList'>>;

/** Builds a definition out of what differs from a plain scalar field. */
export function field(name: string, type: FieldType, description: string, options: FieldOptions = {}): FieldDefinition {
  const multiplicity = options.multiplicity ?? 'one';
  return {
    name,
    type,
    description,
    argument: options.argument ?? 'none',
    argumentKind: options.argumentKind,
    multiplicity,
    isList: multiplicity === 'list',
    filterOnly: options.filterOnly ?? false,
    isPath: options.isPath ?? false,
    isDomainName: options.isDomainName ?? false,
    deprecated: options.deprecated ?? false,
  };
}

/** The multiplicity of a field as it is written: with or without an argument. */
export function multiplicityOf(definition: FieldDefinition, argument: string | undefined): Multiplicity {
  return definition.multiplicity === 'any' && argument !== undefined ? 'one' : definition.multiplicity;
}

export const KEY_REQUIRED: FieldOptions = { argument: 'required', argumentKind: 'key' };
export const INDEX_OPTIONAL: FieldOptions = { argument: 'optional', argumentKind: 'index' };
/** An ancestor by index (1 is the parent), or any ancestor. */
export const ANCESTOR: FieldOptions = { argument: 'optional', argumentKind: 'index', multiplicity: 'any' };
export const PATH: FieldOptions = { isPath: true };
export const DOMAIN_NAME: FieldOptions = { isDomainName: true, multiplicity: 'two-sided' };
