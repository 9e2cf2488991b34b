import type { FieldType } from '../fields/field.ts';
import { canonicalAddress, canonicalNetwork } from './address.ts';
import type { Operator } from './ast.ts';
import type { LiteralValue } from './typed.ts';
import { classOf } from './types.ts';

/** Service names that rules may write for a port. */
const SERVICES: Readonly<Record<string, number>> = {
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  http: 80,
  kerberos: 88,
  pop3: 110,
  ntp: 123,
  imap2: 143,
  snmp: 161,
  ldap: 389,
  https: 443,
  syslog: 514,
  ldaps: 636,
  imaps: 993,
  pop3s: 995,
  mysql: 3306,
  postgresql: 5432,
  redis: 6379,
};

const INTEGER = /^(?:[+-]?\d+|0[xX][0-9a-fA-F]+)$/;
const DECIMAL = /^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$/;

/** Either the constant, or what was expected in its place. */
export type LiteralResult = { readonly value: LiteralValue } | { readonly expected: string };

/** Reads a constant as the type of the field it is compared with. */
export function readLiteral(text: string, type: FieldType, operator: Operator): LiteralResult {
  switch (classOf(type)) {
    case 'number':
      return readNumber(text, type);
    case 'boolean':
      return text === 'true' || text === 'false' ? { value: text === 'true' } : { expected: 'true or false' };
    case 'address':
      return orExpected(canonicalAddress(text), 'an IPv4 or IPv6 address');
    case 'network':
      return orExpected(canonicalNetwork(text), 'a network as address/length');
    case 'bytes':
      return readBytes(text, operator);
    default:
      return { value: text };
  }
}

function readNumber(text: string, type: FieldType): LiteralResult {
  if (type === 'PORT') return readPort(text);
  if (type === 'DOUBLE') return DECIMAL.test(text) ? { value: Number(text) } : { expected: 'a number' };
  if (!INTEGER.test(text)) return { expected: 'an integer' };
  const value = Number(text);
  if (Number.isSafeInteger(value)) return { value };
  return { value: text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', '')) };
}

function readPort(text: string): LiteralResult {
  const port = Object.hasOwn(SERVICES, text) ? SERVICES[text]! : INTEGER.test(text) ? Number(text) : Number.NaN;
  if (port >= 0 && port <= 65535) return { value: port };
  return { expected: `a port from 0 to 65535 or one of ${Object.keys(SERVICES).join(' ')}` };
}

function readBytes(text: string, operator: Operator): LiteralResult {
  if (operator !== 'bcontains' && operator !== 'bstartswith') {
    return { value: Buffer.from(text, 'utf8').toString('latin1') };
  }
  if (!/^(?:[0-9a-fA-F]{2})+$/.test(text)) return { expected: 'an even number of hex digits' };
  return { value: Buffer.from(text, 'hex').toString('latin1') };
}

function orExpected(value: string | undefined, expected: string): LiteralResult {
  return value === undefined ? { expected } : { value };
}
