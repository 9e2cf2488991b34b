import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DomainNames, type ToldName } from '../../collector/event/domain-names.ts';

const HOUR_MILLIS = 3_600_000;

/** Names with a clock that is moved by hand, and answers that are the test's. */
class Asked {
  readonly told: ToldName[] = [];
  readonly lookups: string[] = [];
  answers: Readonly<Record<string, readonly string[]>> = {};
  readonly names: DomainNames;
  #underWay = 0;
  mostAtOnce = 0;

  constructor(t: TestContext, answers: Readonly<Record<string, readonly string[]>>) {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    this.answers = answers;
    this.names = new DomainNames({
      lookup: (name) => this.#look(name),
      now: () => Date.now(),
      onTold: (told) => this.told.push(told),
    });
    t.after(() => this.names.close());
  }

  async #look(name: string): Promise<readonly string[]> {
    this.lookups.push(name);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#underWay);
    await turn();
    this.#underWay--;
    const found = this.answers[name];
    if (found === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return found;
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

async function pass(t: TestContext, millis: number): Promise<void> {
  t.mock.timers.tick(millis);
  await turns();
}

describe('the addresses of domain names that rules name', () => {
  it('are looked up at once; an address has every name that has it', async (t) => {
    const { names } = new Asked(t, { 'a.test': ['10.0.0.1', '10.0.0.2'], 'b.test': ['10.0.0.2', '::1'] });
    assert.deepEqual(names.of('10.0.0.2'), ['']);
    names.ask(['a.test', 'b.test']);
    await turns();
    assert.deepEqual(names.of('10.0.0.1'), ['a.test']);
    assert.deepEqual([...names.of('10.0.0.2')].sort(), ['a.test', 'b.test']);
    assert.deepEqual(names.of('::1'), ['b.test']);
    assert.deepEqual(names.of('10.0.0.9'), ['']);
    assert.equal(names.of('10.0.0.1'), names.of('10.0.0.1'), 'nothing is made for an answer');
  });

  it('are compared as events have them: without a zone, an IPv4 address as one', async (t) => {
    const { names } = new Asked(t, { 'a.test': ['fe80::1%eth0', '::ffff:10.0.0.1'] });
    names.ask(['a.test']);
    await turns();
    assert.deepEqual(names.of('fe80::1'), ['a.test']);
    assert.deepEqual(names.of('10.0.0.1'), ['a.test']);
  });

  it('are looked up again: after ten seconds, then after twice as long each time, up to five minutes, from the beginning after a change', async (t) => {
    const asked = new Asked(t, { 'a.test': ['10.0.0.1'] });
    asked.names.ask(['a.test']);
    await turns();
    const gaps: number[] = [];
    for (let seconds = 1, last = 0; gaps.length < 8; seconds++) {
      const before = asked.lookups.length;
      if (gaps.length === 7) asked.answers = { 'a.test': ['10.0.0.2'] };
      await pass(t, 1000);
      if (asked.lookups.length === before) continue;
      gaps.push(seconds - last);
      last = seconds;
    }
    assert.deepEqual(gaps, [10, 20, 40, 80, 160, 320, 320, 320]);
    const before = asked.lookups.length;
    await pass(t, 10_000);
    assert.equal(asked.lookups.length, before + 1);
  });

  it('stay for an hour after they were last in an answer: a name of many machines tells a few of them at a time', async (t) => {
    const asked = new Asked(t, { 'a.test': ['10.0.0.1'] });
    asked.names.ask(['a.test']);
    await turns();
    asked.answers = { 'a.test': ['10.0.0.2'] };
    await pass(t, 10_000);
    assert.deepEqual(asked.names.of('10.0.0.1'), ['a.test']);
    assert.deepEqual(asked.names.of('10.0.0.2'), ['a.test']);
    for (let passed = 0; passed < HOUR_MILLIS + 320_000; passed += 10_000) await pass(t, 10_000);
    assert.deepEqual(asked.names.of('10.0.0.1'), ['']);
    assert.deepEqual(asked.names.of('10.0.0.2'), ['a.test']);
  });

  it('stay when a name cannot be resolved any more, which is told once, and that it can again', async (t) => {
    const asked = new Asked(t, { 'a.test': ['10.0.0.1'] });
    asked.names.ask(['a.test']);
    await turns();
    asked.answers = {};
    for (let passed = 0; passed < 2 * HOUR_MILLIS; passed += 10_000) await pass(t, 10_000);
    assert.deepEqual(asked.names.of('10.0.0.1'), ['a.test']);
    assert.deepEqual(asked.told, [{ name: 'a.test', failure: 'ENOTFOUND' }]);
    assert.ok(asked.names.stats().lookups.failed > 10);
    asked.answers = { 'a.test': ['10.0.0.1'] };
    await pass(t, 320_000);
    assert.deepEqual(asked.told[1], { name: 'a.test', failure: undefined });
  });

  it('are looked up two at a time, however many there are', async (t) => {
    const many = Array.from({ length: 100 }, (_, index) => `n${index}.test`);
    const asked = new Asked(t, Object.fromEntries(many.map((name, index) => [name, [`10.0.1.${index}`]])));
    asked.names.ask(many);
    const settled = asked.names.settled(HOUR_MILLIS);
    await settled;
    assert.equal(asked.mostAtOnce, 2);
    assert.deepEqual(asked.names.stats(), {
      resolved: 100,
      unresolved: 0,
      lookups: { resolved: 100, failed: 0 },
    });
  });

  it('are waited for no longer than asked', async (t) => {
    const names = new DomainNames({ lookup: () => new Promise(() => {}) });
    t.after(() => names.close());
    names.ask(['a.test']);
    await names.settled(1);
  });

  it('are forgotten when no rule names them any more; those that stay are not asked for anew', async (t) => {
    const asked = new Asked(t, { 'a.test': ['10.0.0.1'], 'b.test': ['10.0.0.1'] });
    asked.names.ask(['a.test', 'b.test']);
    await turns();
    asked.names.ask(['b.test']);
    await turns();
    assert.deepEqual(asked.names.of('10.0.0.1'), ['b.test']);
    assert.equal(asked.lookups.length, 2);
    asked.names.ask([]);
    assert.deepEqual(asked.names.of('10.0.0.1'), ['']);
  });

  it('can be told instead', (t) => {
    const { names } = new Asked(t, {});
    names.tell({ 'a.test': ['10.0.0.1'] });
    assert.deepEqual(names.of('10.0.0.1'), ['a.test']);
    names.tell({ 'b.test': ['10.0.0.1'] });
    assert.deepEqual(names.of('10.0.0.1'), ['b.test']);
  });
});
