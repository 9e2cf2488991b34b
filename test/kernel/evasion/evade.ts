import assert from 'node:assert/strict';
import { execFileSync, type SpawnSyncOptions, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Capture, CapturedEvent } from '../capture.ts';

const SOURCES = ['evade.c', 'flood.h', 'ring.h'].map((name) => fileURLToPath(new URL(name, import.meta.url)));
const BUILD = fileURLToPath(new URL('../../build/', import.meta.url));
export const EVADE = `${BUILD}evade`;

/** Builds the program that hides, if it is not there or older than its sources. */
export function buildEvade(): void {
  const newest = Math.max(...SOURCES.map((path) => statSync(path).mtimeMs));
  if (existsSync(EVADE) && statSync(EVADE).mtimeMs > newest) return;
  mkdirSync(BUILD, { recursive: true });
  const fresh = `${EVADE}.${process.pid}`;
  execFileSync('gcc', ['-O1', '-Wall', '-static', '-pthread', '-o', fresh, SOURCES[0]!]);
  renameSync(fresh, EVADE);
}

export interface Evaded {
  readonly pid: number;
  /** Of the call in question; -errno if it failed. */
  readonly result: number;
}

/** Runs `evade WAY ARGUMENT...` to its end. */
export function evade(args: readonly string[], options: SpawnSyncOptions = {}): Evaded {
  const { pid, stdout, stderr, error } = spawnSync(EVADE, args, { encoding: 'utf8', timeout: 20_000, ...options });
  if (error !== undefined) throw error;
  if (String(stderr) !== '') throw new Error(String(stderr));
  return { pid, result: Number(stdout) };
}

/** The events of a type that `evade` caused after it was executed. */
export function events(
  capture: Capture,
  type: string,
  args: readonly string[],
  names: readonly string[],
): { found: CapturedEvent[]; all: CapturedEvent[]; result: number; pid: number } {
  const { result, events: all } = capture.of(() => evade(args), names);
  const since = all.slice(all.findIndex((one) => one.type === 'execve'));
  return { found: since.filter((one) => one.type === type), all: since, ...result };
}

/** The one event of a type. */
export function event(capture: Capture, type: string, args: readonly string[], names: readonly string[]) {
  const { found, all, result, pid } = events(capture, type, args, names);
  assert.equal(found.length, 1, `expected one ${type}, got ${all.map((one) => one.type).join(' ')} (result ${result})`);
  return { ...found[0]!, result, callerPid: pid };
}
