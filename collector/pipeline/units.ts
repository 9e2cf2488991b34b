import { z } from 'zod';

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** A duration as users write it (`500ms`, `10s`, `5m`, `1h`, `7d`), read as milliseconds. */
export function duration(): z.ZodType<number, string> {
  return z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'expected a duration such as 500ms, 10s, 5m, 1h or 7d')
    .transform((text) => Math.round(Number.parseFloat(text) * DURATION_UNITS[unitOf(text)]!));
}

/** An amount of bytes as users write it (`64KiB`, `512MiB`, `1GB`), read as a number. */
export function bytes(): z.ZodType<number, string> {
  return z
    .string()
    .regex(/^\d+(\.\d+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)?$/, 'expected an amount of bytes such as 64KiB, 512MiB or 1GB')
    .transform((text) => Math.round(Number.parseFloat(text) * BYTE_UNITS[unitOf(text)]!));
}

function unitOf(text: string): string {
  return text.replace(/^[\d.]+/, '');
}
