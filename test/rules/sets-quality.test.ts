import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { readAudit } from '../../cli/audit-reader.ts';
import { knownSources } from '../../cli/collected.ts';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { bundledRulesPath, fieldText, formatProblem, loadRules, readRuleFiles } from '../../rules/index.ts';
import { type CaseEngineFactory, createMemoryEngine, type FiredRule } from '../../rules/testing/engine.ts';
import { findTestFiles } from '../../rules/testing/find-files.ts';
import { runCases, uncovered } from '../../rules/testing/run-cases.ts';

const { files, problems: unreadable } = await readRuleFiles([bundledRulesPath()]);
const { rules, problems } = loadRules(files);
const { sources, missing } = await knownSources();
const systemCallRules = rules.filter(({ source }) => source === 'syscall');

/** What the analyst needs first: what ran, as whom, where. */
const WHO = ['proc.name', 'proc.exepath', 'user.name', 'user.uid'];
const CLASSES = ['filesystem', 'network', 'process', 'shell', 'users'];

/** The rules that lack something: all of them are told at once. */
function lacking(what: (rule: (typeof rules)[number]) => boolean, of = rules): string[] {
  return of.filter((rule) => !what(rule)).map(({ name }) => name);
}

describe('the bundled rules', () => {
  it('load without an error or a warning', () => {
    assert.deepEqual([...unreadable, ...problems].map(formatProblem), []);
  });

  it('ask for nothing that is not collected', { skip: missing }, () => {
    const warnings = sources.flatMap((source) => source.warnings(rules));
    assert.deepEqual(warnings.map(formatProblem), []);
  });

  it('are at least 81 on system calls', () => {
    assert.ok(systemCallRules.length >= 81, `${systemCallRules.length}`);
  });

  it('have names of their own that say what happened', () => {
    const names = rules.map(({ name }) => name.toLowerCase());
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(
      lacking(({ name }) => name.length >= 10 && name.length <= 70),
      [],
    );
  });

  it('describe what it means and what to do', () => {
    assert.deepEqual(
      lacking(({ description }) => description.trim().length >= 80),
      [],
    );
  });

  it('carry a maturity, a place, a tactic and a technique', () => {
    assert.deepEqual(
      lacking(({ tags }) => tags.filter((tag) => /^maturity_(stable|incubating|sandbox)$/.test(tag)).length === 1),
      [],
    );
    assert.deepEqual(
      lacking(({ tags }) => tags.some((tag) => /^mitre_[a-z_]+$/.test(tag))),
      [],
    );
    assert.deepEqual(
      lacking(({ tags }) => tags.some((tag) => /^T\d{4}(\.\d{3})?$/.test(tag))),
      [],
    );
  });

  it('say whether they are about hosts, containers or both, and about what there', () => {
    const placed = lacking(({ tags }) => tags.includes('host') || tags.includes('container'), systemCallRules);
    assert.deepEqual(placed, []);
    const classed = lacking(({ tags }) => tags.some((tag) => CLASSES.includes(tag)), systemCallRules);
    assert.deepEqual(classed, []);
  });

  it('tell which program it was, of which user, and where', () => {
    const untold = lacking(({ output, tags }) => {
      const fields = new Set(
        output.parts.flatMap((part) =>
          typeof part === 'string' || part.operand.kind !== 'field' ? [] : fieldText(part.operand.reference),
        ),
      );
      const place = tags.includes('container') ? ['container.id'] : [];
      return [...WHO, ...place].every((field) => fields.has(field));
    }, systemCallRules);
    assert.deepEqual(untold, []);
  });

  it('have an urgency that people can bear', () => {
    const urgent = systemCallRules.filter(
      ({ priority }) => PRIORITIES.indexOf(priority) <= PRIORITIES.indexOf('Critical'),
    );
    assert.ok(urgent.length <= 0.15 * systemCallRules.length, urgent.map(({ name }) => name).join(', '));
    assert.deepEqual(
      lacking(({ priority, tags }) => priority !== 'Critical' || !tags.includes('maturity_sandbox'), systemCallRules),
      [],
    );
  });

  it('can each be tuned without being copied', async () => {
    const tunable = new Set<string>();
    for (const { text } of files) {
      for (const item of text.split(/^(?=- (?:rule|macro|list):)/m)) {
        const name = /^- rule: (.+)$/m.exec(item)?.[1];
        if (name !== undefined && /^ {2}exceptions:|expected_/m.test(item)) tunable.add(name);
      }
    }
    const later = systemCallRules.filter(({ ruleset }) => ruleset !== 'shikra_rules');
    assert.deepEqual(
      lacking(({ name }) => tunable.has(name), later),
      [],
    );
  });
});

describe('the cases of the bundled rules', async () => {
  const found = await findTestFiles([bundledRulesPath()]);
  const cases = await Promise.all(found.cases.map(async (path) => ({ path, text: await readFile(path, 'utf8') })));
  const enabled = rules.filter((rule) => rule.enabled);
  const severities = new Map(enabled.map(({ name, priority }) => [name, PRIORITIES.indexOf(priority)]));
  const misplaced = new Set<string>();

  /** Notes where a rule hides a more severe one of the same event. */
  const createEngine: CaseEngineFactory = (ofSource, resolver) => {
    const start = createMemoryEngine(ofSource, resolver);
    return () => {
      const engine = start();
      return {
        show(event) {
          const fired = engine.show(event);
          noteOrder(fired);
          return fired;
        },
      };
    };
  };

  function noteOrder(fired: readonly FiredRule[]): void {
    const [first, ...others] = fired.filter(({ name }) => severities.has(name));
    for (const { name } of others) {
      if (severities.get(name)! < severities.get(first!.name)!) misplaced.add(`'${first!.name}' hides '${name}'`);
    }
  }

  const report = runCases(rules, cases, { createEngine, readAudit });

  it('are written without mistakes, and pass', () => {
    assert.deepEqual(report.problems.map(formatProblem), []);
    const failed = report.results.filter(({ failures }) => failures.length > 0);
    assert.deepEqual(
      failed.map(({ title, failures }) => [title, ...failures]),
      [],
    );
  });

  it('show for every rule an event that fires it and one that does not', () => {
    assert.deepEqual(uncovered(report.coverage), []);
  });

  it('make the detection, of the rules that match, with the most severe', () => {
    assert.deepEqual([...misplaced], []);
  });
});
