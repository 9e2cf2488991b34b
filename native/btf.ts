/**
 * Reads the type information (BTF) that the compiler leaves in a BPF object, as far as the wire format needs it: sizes and member
 * offsets of structs, values of enums. Format: Documentation/bpf/btf.rst of the kernel.
 */

export interface StructLayout {
  readonly sizeBytes: number;
  /** Offset in bytes of each member from the start of the struct. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Name of a member's struct type, for the members that are structs. */
  readonly memberTypes: ReadonlyMap<string, string>;
}

export interface Btf {
  /** @throws Error if the object defines no such struct */
  struct(name: string): StructLayout;
  /** @throws Error if the object defines no such enum */
  enumeration(name: string): ReadonlyMap<string, number>;
}

const BTF_MAGIC = 0xeb9f;
const KIND = {
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  DECL_TAG: 17,
  ENUM64: 19,
  INT: 1,
} as const;

interface RawType {
  readonly kind: number;
  readonly name: string;
  readonly sizeOrType: number;
  readonly kindFlag: boolean;
  readonly vlen: number;
  /** Where the data that follow the common part begin. */
  readonly body: number;
}

/** Parses raw BTF (the content of a `.BTF` section or of /sys/kernel/btf/vmlinux). */
export function parseBtf(bytes: Buffer): Btf {
  if (bytes.readUInt16LE(0) !== BTF_MAGIC) throw new Error('not BTF: its magic number is missing');
  const headerBytes = bytes.readUInt32LE(4);
  const typesStart = headerBytes + bytes.readUInt32LE(8);
  const typesEnd = typesStart + bytes.readUInt32LE(12);
  const stringsStart = headerBytes + bytes.readUInt32LE(16);
  const text = (offset: number): string => {
    const start = stringsStart + offset;
    return bytes.toString('latin1', start, bytes.indexOf(0, start));
  };

  const types: RawType[] = [{ kind: 0, name: 'void', sizeOrType: 0, kindFlag: false, vlen: 0, body: 0 }];
  const byName = new Map<string, RawType>();
  for (let at = typesStart; at < typesEnd; ) {
    const info = bytes.readUInt32LE(at + 4);
    const type: RawType = {
      name: text(bytes.readUInt32LE(at)),
      kind: (info >>> 24) & 0x1f,
      vlen: info & 0xffff,
      kindFlag: info >>> 31 === 1,
      sizeOrType: bytes.readUInt32LE(at + 8),
      body: at + 12,
    };
    types.push(type);
    if (type.name !== '' && (type.kind === KIND.STRUCT || type.kind === KIND.ENUM)) byName.set(type.name, type);
    at = type.body + bodyBytes(type);
  }

  function find(name: string, kind: number, what: string): RawType {
    const type = byName.get(name);
    if (type?.kind !== kind) throw new Error(`no ${what} ${name} in the object's type information`);
    return type;
  }

  /** Members of anonymous structs and unions belong to the struct around them. */
  function collect(type: RawType, base: number, offsets: Map<string, number>, memberTypes: Map<string, string>): void {
    for (let i = 0; i < type.vlen; i++) {
      const at = type.body + i * 12;
      const name = text(bytes.readUInt32LE(at));
      const member = types[bytes.readUInt32LE(at + 4)]!;
      const bits = bytes.readUInt32LE(at + 8);
      const offset = base + (type.kindFlag ? bits & 0xffffff : bits) / 8;
      const nested = member.kind === KIND.STRUCT || member.kind === KIND.UNION;
      if (name === '') {
        if (nested) collect(member, offset, offsets, memberTypes);
      } else {
        offsets.set(name, offset);
        if (nested) memberTypes.set(name, member.name);
      }
    }
  }

  return {
    struct(name) {
      const type = find(name, KIND.STRUCT, 'struct');
      const offsets = new Map<string, number>();
      const memberTypes = new Map<string, string>();
      collect(type, 0, offsets, memberTypes);
      return { sizeBytes: type.sizeOrType, offsets, memberTypes };
    },
    enumeration(name) {
      const type = find(name, KIND.ENUM, 'enum');
      const values = new Map<string, number>();
      for (let i = 0; i < type.vlen; i++) {
        values.set(text(bytes.readUInt32LE(type.body + i * 8)), bytes.readInt32LE(type.body + i * 8 + 4));
      }
      return values;
    },
  };
}

function bodyBytes(type: RawType): number {
  switch (type.kind) {
    case KIND.INT:
    case KIND.VAR:
    case KIND.DECL_TAG:
      return 4;
    case KIND.ARRAY:
      return 12;
    case KIND.STRUCT:
    case KIND.UNION:
    case KIND.DATASEC:
    case KIND.ENUM64:
      return 12 * type.vlen;
    case KIND.ENUM:
    case KIND.FUNC_PROTO:
      return 8 * type.vlen;
    default:
      return 0;
  }
}

/**
 * Finds a section in a 64-bit little-endian ELF object.
 * @throws Error if the file is no such object or has no section of that name
 */
export function elfSection(object: Buffer, wanted: string): Buffer {
  if (object.readUInt32BE(0) !== 0x7f454c46 || object[4] !== 2 || object[5] !== 1) {
    throw new Error('not a 64-bit little-endian ELF object');
  }
  const tableStart = Number(object.readBigUInt64LE(0x28));
  const entryBytes = object.readUInt16LE(0x3a);
  const count = object.readUInt16LE(0x3c);
  const header = (index: number): Buffer =>
    object.subarray(tableStart + index * entryBytes, tableStart + (index + 1) * entryBytes);
  const content = (entry: Buffer): Buffer => {
    const start = Number(entry.readBigUInt64LE(0x18));
    return object.subarray(start, start + Number(entry.readBigUInt64LE(0x20)));
  };
  const names = content(header(object.readUInt16LE(0x3e)));
  for (let i = 0; i < count; i++) {
    const entry = header(i);
    const nameStart = entry.readUInt32LE(0);
    if (names.toString('latin1', nameStart, names.indexOf(0, nameStart)) === wanted) return content(entry);
  }
  throw new Error(`the object has no section ${wanted}`);
}
