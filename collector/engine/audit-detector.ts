import { hostname } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CompiledRule } from '../../rules/runtime.ts';
import type { Detection } from '../detection/detection.ts';
import { formatTime, nowNanos } from '../detection/time.ts';
import { repeatableUuid } from '../detection/uuid.ts';
import { AUDIT_EVENT_TYPE_NAMES, type AuditEvent, AuditFields, auditEvidence } from '../sources/k8s-audit/index.ts';
import type { RuleStats } from '../telemetry/collector-stats.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { rulesOf } from './load-aside.ts';
import type { LoadedRule, ReloadOutcome } from './messages.ts';
import { RuleTotals } from './rule-totals.ts';
import type { ReadRules } from './rules-worker.ts';

/** Rules are compiled for so long at a time; then the thread is free for others. */
const COMPILE_MILLIS = 4;

/** Makes detections of audit events, by rules that can be swapped between two events. */
export class AuditDetector {
  readonly #options: Omit<EngineOptions<AuditEvent>, 'rules'>;
  readonly #totals = new RuleTotals();
  readonly #hostname = hostname();
  #engine: Engine<AuditEvent>;

  private constructor(options: Omit<EngineOptions<AuditEvent>, 'rules'>, engine: Engine<AuditEvent>) {
    this.#options = options;
    this.#engine = engine;
  }

  /** @param read rules that have no mistake */
  static async create(read: Extract<ReadRules, { ok: true }>, matching: 'first' | 'all'): Promise<AuditDetector> {
    const options = {
      resolver: new AuditFields({ hostname: hostname() }),
      eventTypeNames: AUDIT_EVENT_TYPE_NAMES,
      collected: AUDIT_EVENT_TYPE_NAMES,
      matching,
      timeNs: (event: AuditEvent) => Number(event.timeNs),
    };
    const { engine } = await compile(options, read);
    return new AuditDetector(options, engine);
  }

  get rules(): LoadedRule[] {
    return this.#engine.ruleset.rules.map(({ name, priority, source }) => ({ name, priority, source }));
  }

  get stats(): Readonly<Record<string, RuleStats>> {
    return this.#totals.with(this.#engine).rules;
  }

  /** What the rules find in an event. @throws what an evaluation throws */
  detect(event: AuditEvent): Detection[] {
    const detections: Detection[] = [];
    this.#engine.evaluate(event, (rule) => detections.push(this.#detection(rule, event)));
    return detections;
  }

  /** Compiles new rules while the old ones work, then swaps. Those with mistakes leave the old ones in force. */
  async adopt(read: ReadRules): Promise<ReloadOutcome> {
    if (!read.ok) return read;
    const { engine, longestPauseMillis } = await compile(this.#options, read);
    this.#totals.add(this.#engine);
    this.#engine = engine.inherit(this.#engine);
    return { ok: true, rules: this.rules, warnings: read.warnings, longestPauseMillis };
  }

  #detection(rule: CompiledRule<AuditEvent>, event: AuditEvent): Detection {
    const { output, fields } = rule.render(event);
    return {
      // The same event may come again, after a crash or when its sender had no answer: the store knows it then.
      uuid: repeatableUuid(event.timeNs, event.textOf(event.json)!, rule.name),
      time: formatTime(event.timeNs),
      observed_time: formatTime(nowNanos()),
      rule: rule.name,
      priority: rule.priority,
      source: rule.source,
      tags: rule.tags,
      hostname: this.#hostname,
      output,
      output_fields: { 'evt.time': event.timeNs, ...fields },
      evidence: auditEvidence(event),
      description: rule.description,
      ruleset: rule.ruleset,
    };
  }
}

async function compile(
  options: Omit<EngineOptions<AuditEvent>, 'rules'>,
  read: Extract<ReadRules, { ok: true }>,
): Promise<{ engine: Engine<AuditEvent>; longestPauseMillis: number }> {
  const rules = rulesOf(read);
  let started = performance.now();
  let longestPauseMillis = 0;
  const steps = new Engine({ ...options, rules }).compile();
  for (;;) {
    const step = steps.next();
    const passed = performance.now() - started;
    longestPauseMillis = Math.max(longestPauseMillis, passed);
    if (step.done) return { engine: step.value, longestPauseMillis };
    if (passed < COMPILE_MILLIS) continue;
    await nextTurn();
    started = performance.now();
  }
}
