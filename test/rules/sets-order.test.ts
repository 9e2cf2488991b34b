import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { bundledRulesPath, loadRules, readRuleFiles } from '../../rules/index.ts';
import { CaseEvent, caseResolver, type EventFacts } from '../../rules/testing/case-event.ts';
import { createMemoryEngine } from '../../rules/testing/engine.ts';
import { findTestFiles } from '../../rules/testing/find-files.ts';
import { readCases } from '../../rules/testing/read-cases.ts';
import { knownNames } from '../../rules/testing/run-cases.ts';

const { files } = await readRuleFiles([bundledRulesPath()]);
const { rules } = loadRules(files);
/** Rules over several events make a detection of their own and hide nothing; audit events cannot be crossed by their fields. */
const single = rules
  .filter(
    ({ source, threshold, sequence }) => source === 'syscall' && threshold === undefined && sequence === undefined,
  )
  .map((rule) => ({ ...rule, enabled: true }));
const severities = new Map(single.map(({ name, priority }) => [name, PRIORITIES.indexOf(priority)]));
const engine = createMemoryEngine(single, caseResolver(undefined))();

/** Of all cases, by event type: the events that some rule matches. */
async function matchedEvents(): Promise<Map<string, EventFacts[]>> {
  const matched = new Map<string, EventFacts[]>();
  const known = knownNames(rules);
  for (const path of (await findTestFiles([bundledRulesPath()])).cases) {
    const { cases } = readCases(path, await readFile(path, 'utf8'), known);
    for (const { facts } of cases.flatMap(({ steps }) => steps)) {
      if (facts.source !== 'syscall' || show(facts).length === 0) continue;
      matched.set(facts.type, [...(matched.get(facts.type) ?? []), facts]);
    }
  }
  return matched;
}

function show(facts: EventFacts): string[] {
  return engine.show(new CaseEvent(facts, 1, 0n)).map(({ name }) => name);
}

/** One event that is as much of two as it can be: where both say something, the second is believed. */
function* crossed(one: EventFacts, other: EventFacts): Generator<EventFacts> {
  const both: EventFacts = {
    ...other,
    given: new Map([...one.given, ...other.given]),
    argv: other.argv ?? one.argv,
    env: other.env ?? one.env,
    inContainer: one.inContainer || other.inContainer,
  };
  yield both;
  yield { ...both, parents: one.parents };
}

it('hide no rule behind a less severe one, where only the first that matches makes a detection', async () => {
  const hidden = new Set<string>();
  let matchedByTwo = 0;
  for (const events of (await matchedEvents()).values()) {
    for (const one of events) {
      for (const other of events) {
        for (const facts of crossed(one, other)) {
          const [first, ...others] = show(facts);
          if (others.length > 0) matchedByTwo++;
          for (const name of others)
            if (severities.get(name)! < severities.get(first!)!) hidden.add(`'${first}' hides '${name}'`);
        }
      }
    }
  }
  assert.deepEqual([...hidden], []);
  assert.ok(matchedByTwo > 1000, `only ${matchedByTwo} events that two rules match: crossing cases has lost its use`);
});
