/**
 * `node bench/evaluator.ts`, as root: how many events a second the rules take, alone. Records what this machine does for some seconds, puts a mix together
 * (70 % opens, 5 % executions, 5 % connects, the rest others), and shows it to the evaluator again and again: no kernel, no ring, no process table in the way.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '../collector/engine/engine.ts';
import { EventView } from '../collector/sources/kernel/event-view.ts';
import { KernelFields } from '../collector/sources/kernel/fields/index.ts';
import { EVENT_TYPE_NAMES, HEADER } from '../collector/sources/kernel/layout.ts';
import { Memory } from '../collector/sources/kernel/memory.ts';
import type { Process } from '../collector/sources/kernel/process.ts';
import { KernelSource } from '../collector/sources/kernel/source.ts';
import { allOf, COLLECTED_EVENT_TYPES } from '../collector/sources/kernel/system-calls.ts';
import { Probe } from '../native/index.ts';
import { type CheckedRule, loadRules, readRuleFiles } from '../rules/index.ts';
import type { LiteralValue, TypedCheck, TypedExpression } from '../rules/language/typed.ts';
import { ALL_RULES } from './rule-files.ts';
import { spread } from './statistics.ts';

const COUNTS = [25, 93, 200, 1000] as const;
const EVENTS = 20_000;
const MIX = { open: 0.7, exec: 0.05, connect: 0.05, other: 0.2 } as const;
const ROUNDS = 5;
const ROUND_MILLIS = 600;
/** linux/bpf.h: the length of a record stands before it. */
const RING_HEADER_BYTES = 8;
const LENGTH_MASK = 0x3fffffff;

type Kind = keyof typeof MIX;

/** An event's record, by itself. */
interface Recorded {
  readonly bytes: Uint8Array;
  readonly process: Process;
}

function kindOf(type: string): Kind {
  if (type.startsWith('open') || type === 'creat') return 'open';
  if (type.startsWith('execve')) return 'exec';
  return type === 'connect' ? 'connect' : 'other';
}

/** Ordinary work: looking for files, reading them, starting programs, compiling, connecting, moving files about. */
function work(folder: string): void {
  writeFileSync(join(folder, 'a.c'), '#include <stdio.h>\nint main(void) { return puts("a") < 0; }\n');
  const script = `cd ${folder}
for i in 1 2 3; do find /etc -name 'x*' >/dev/null 2>&1; cat /etc/hostname /etc/passwd >/dev/null; gcc -o a a.c; ./a >/dev/null
for j in 1 2 3 4 5 6 7 8; do cp a b$j; chmod 700 b$j; mv b$j c$j; ln -s c$j d$j; rm -f c$j d$j; id >/dev/null; ls -l /proc/self/fd >/dev/null; done; done
python3 - <<'P'
import socket, os, json, http.client, asyncio
for i in range(400):
  s = socket.socket(); s.setblocking(False)
  try: s.connect(('127.0.0.1', 1))
  except OSError: pass
  s.close()
P`;
  spawnSync('sh', ['-c', script], { stdio: 'ignore', timeout: 60_000 });
}

async function record(source: KernelSource): Promise<Map<Kind, Recorded[]>> {
  const found = new Map<Kind, Recorded[]>(Object.keys(MIX).map((kind) => [kind as Kind, []]));
  source.open(await Probe.load());
  source.want(allOf(COLLECTED_EVENT_TYPES));
  source.start(
    ({ memory, at, process, typeName }) => {
      if (at < RING_HEADER_BYTES) return; // the one that wraps
      const length = memory.u32[(at - RING_HEADER_BYTES) >>> 2]! & LENGTH_MASK;
      const kept = found.get(kindOf(typeName))!;
      if (kept.length < EVENTS) kept.push({ bytes: memory.bytes.slice(at, at + length), process });
    },
    () => {},
  );
  const folder = mkdtempSync(join(tmpdir(), 'shikra-bench-'));
  work(folder);
  rmSync(folder, { recursive: true });
  source.detach();
  source.drainAll();
  return found;
}

interface Mix {
  readonly memory: Memory;
  readonly places: Float64Array;
  readonly processes: readonly Process[];
}

function mixOf(found: ReadonlyMap<Kind, readonly Recorded[]>): Mix {
  const chosen: Recorded[] = [];
  let state = 1;
  for (const [kind, share] of Object.entries(MIX)) {
    const of = found.get(kind as Kind)!;
    if (of.length === 0) throw new Error(`no ${kind} was recorded`);
    for (let i = 0; i < EVENTS * share; i++) chosen.push(of[i % of.length]!);
  }
  // Fisher-Yates, the same every time.
  for (let i = chosen.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const j = (state >>> 8) % (i + 1);
    [chosen[i], chosen[j]] = [chosen[j]!, chosen[i]!];
  }
  const aligned = chosen.map(({ bytes }) => (bytes.length + 15) & ~7);
  const memory = new Memory(new ArrayBuffer(aligned.reduce((sum, length) => sum + length, 0)));
  const places = new Float64Array(chosen.length);
  let at = 0;
  for (const [index, { bytes }] of chosen.entries()) {
    memory.bytes.set(bytes, at);
    places[index] = at;
    at += aligned[index]!;
  }
  return { memory, places, processes: chosen.map(({ process }) => process) };
}

/** The rule again, with other names in it: as another author would have written it for other programs and files. */
function variant(rule: CheckedRule, number: number): CheckedRule {
  const known = new Map<TypedExpression, TypedExpression>();
  const change = (expression: TypedExpression): TypedExpression => {
    const before = known.get(expression);
    if (before !== undefined) return before;
    const after = derive(expression);
    known.set(expression, after);
    return after;
  };
  const derive = (expression: TypedExpression): TypedExpression => {
    switch (expression.kind) {
      case 'constant':
        return expression;
      case 'not':
        return { kind: 'not', operand: change(expression.operand) };
      case 'check':
        return changeCheck(expression);
      default:
        return { kind: expression.kind, operands: expression.operands.map(change) };
    }
  };
  const changeCheck = (check: TypedCheck): TypedCheck => {
    const isName =
      check.left.kind === 'field' &&
      /^(?:proc\.\w*(?:name|line|path|exe)|fd\.\w*(?:name|directory))$/.test(check.left.reference.name);
    if (!isName) return check;
    const rename = (value: LiteralValue) => (typeof value === 'string' ? `${value}${number}` : value);
    return { ...check, values: check.values.map(rename) };
  };
  return { ...rule, name: `${rule.name} ${number}`, condition: change(rule.condition) };
}

function ruleSet(rules: readonly CheckedRule[], count: number): CheckedRule[] {
  return Array.from({ length: count }, (_, index) => {
    const rule = rules[index % rules.length]!;
    const number = Math.floor(index / rules.length);
    return number === 0 ? rule : variant(rule, number);
  });
}

/** Events a second of rounds of some length. */
function measure(mix: Mix, show: (view: EventView) => void): number[] {
  const view = new EventView();
  const once = () => {
    for (let i = 0; i < mix.places.length; i++) {
      view.select(mix.memory, mix.places[i]!, mix.processes[i]!);
      show(view);
    }
  };
  for (let i = 0; i < 20; i++) once();
  return Array.from({ length: ROUNDS }, () => {
    const started = performance.now();
    let shown = 0;
    while (performance.now() - started < ROUND_MILLIS) {
      once();
      shown += mix.places.length;
    }
    return (shown / (performance.now() - started)) * 1000;
  });
}

/** By what the engine measured itself. */
function dearestOf(engine: Engine<EventView>): string[] {
  const costs = engine.costs().map(({ seconds, evaluations }, index) => ({ seconds, evaluations, index }));
  const most = Math.max(...costs.map(({ evaluations }) => evaluations));
  return costs
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 8)
    .map(
      ({ seconds, index }) =>
        `${((seconds / most) * 1e9).toFixed(1).padStart(8)}  ${engine.ruleset.rules[index]!.name}`,
    );
}

const options = { ringPreset: 7, cpusPerRing: 1, processTableEntries: 65_536, captureEnv: [] };
const source = new KernelSource(options);
const mix = mixOf(await record(source));
const { files } = await readRuleFiles(ALL_RULES);
const loads: number[] = [];
let loaded = loadRules(files);
for (let i = 0; i < 5; i++) {
  const started = performance.now();
  loaded = loadRules(files);
  loads.push(performance.now() - started);
}
const all = loaded.rules.filter((rule) => rule.source === 'syscall').map((rule) => ({ ...rule, enabled: true }));
const { table, clock, users, groups } = source;
const resolver = new KernelFields({ table, clock, users, groups, hostname: 'bench', domainNames: { of: () => [''] } });

const million = (value: number) => (value / 1e6).toFixed(2);
const line = (cells: readonly (string | number)[]) =>
  console.log(cells.map((cell, index) => String(cell).padStart([22, 14, 12, 16, 18, 14][index]!)).join(''));

console.log(
  `${EVENTS} recorded events; ${all.length} rules on system calls, ${loaded.rules.length} in all; load time of all, the code warm, ${Math.round(spread(loads).min)} to ${Math.round(spread(loads).max)} ms\n`,
);
line(['rules', 'M events/s', 'ns/event', '(min to max)', 'matches/event', 'compile ms']);
const alone = spread(measure(mix, () => {}));
line([
  '(reading events alone)',
  million(alone.median),
  Math.round(1e9 / alone.median),
  `${million(alone.min)} to ${million(alone.max)}`,
  '',
  '',
]);
let dearest: string[] = [];
for (const count of [...COUNTS, all.length]) {
  const started = performance.now();
  const engine = new Engine<EventView>({
    rules: ruleSet(all, count),
    resolver,
    eventTypeNames: EVENT_TYPE_NAMES,
    collected: COLLECTED_EVENT_TYPES,
    matching: 'first',
    timeNs: (event) => event.u64(HEADER.time_ns),
  });
  for (const _ of engine.compile());
  const compileMillis = performance.now() - started;
  let matches = 0;
  let events = 0;
  const onMatch = () => {
    matches++;
  };
  const speed = spread(
    measure(mix, (view) => {
      events++;
      engine.evaluate(view, onMatch);
    }),
  );
  if (count === all.length) dearest = dearestOf(engine);
  line([
    count === all.length ? `${count} (all)` : count,
    million(speed.median),
    Math.round(1e9 / speed.median),
    `${million(speed.min)} to ${million(speed.max)}`,
    (matches / events).toFixed(4),
    Math.round(compileMillis),
  ]);
}
console.log(`\nThe dearest rules of all (ns for each event of any kind):\n${dearest.join('\n')}`);
source.close();
