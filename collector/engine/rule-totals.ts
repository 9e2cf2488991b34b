import type { CollectorStats, RuleStats } from '../telemetry/collector-stats.ts';
import type { Engine } from './engine.ts';

/** What is asked of an engine, whatever its events. */
interface Counted extends Pick<Engine<never>, 'matches' | 'costs' | 'memory'> {
  readonly ruleset: { readonly rules: readonly { readonly name: string; readonly index: number }[] };
}

/** Counts by rule name, over all rule sets that were in force since the start. */
export class RuleTotals {
  readonly #before = new Map<string, RuleStats>();

  /** Takes over the counts of an engine that is about to be replaced. */
  add(engine: Counted): void {
    for (const [name, stats] of statsOf(engine)) {
      // What is remembered goes over to the next engine, or is gone.
      this.#before.set(name, { ...sum(this.#before.get(name), stats), memory: undefined });
    }
  }

  /** With those of the engine that is in force. */
  with(engine: Counted): Pick<CollectorStats, 'rules'> {
    const totals = new Map(this.#before);
    for (const [name, stats] of statsOf(engine)) totals.set(name, sum(this.#before.get(name), stats));
    return { rules: Object.fromEntries(totals) };
  }
}

function sum(before: RuleStats | undefined, now: RuleStats): RuleStats {
  if (before === undefined) return now;
  return {
    matches: before.matches + now.matches,
    evaluations: before.evaluations + now.evaluations,
    seconds: before.seconds + now.seconds,
    memory: now.memory,
  };
}

function statsOf(engine: Counted): Map<string, RuleStats> {
  const costs = engine.costs();
  const memory = new Map(engine.memory().map(({ rule, keys, evicted }) => [rule, { keys, evicted }]));
  return new Map(
    engine.ruleset.rules.map(({ name, index }) => [
      name,
      { matches: engine.matches[index]!, ...costs[index]!, memory: memory.get(index) },
    ]),
  );
}
