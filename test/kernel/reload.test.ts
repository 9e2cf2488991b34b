import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentProcess } from './agent-process.ts';
import { attempt, shown } from './evasion/attempt.ts';
import { buildTrigger, TRIGGER } from './trigger.ts';

before(() => buildTrigger());

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-reload-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function rule(name: string, condition: string, extra = ''): string {
  return `- rule: ${name}\n  desc: d\n  condition: ${condition}\n  output: "%fd.name %proc.pname"\n  priority: WARNING\n${extra}`;
}

const opensOf = (path: string) => `evt.type in (open, openat, openat2) and fd.name = ${path}`;

async function start(t: TestContext, rulesFiles: readonly string[], receiver = {}): Promise<AgentProcess> {
  const kernel = { ring_preset: 5, rules_files: rulesFiles, ...receiver };
  const agent = await AgentProcess.start({ receiver: kernel });
  t.after(() => agent.close());
  return agent;
}

async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMillis = 10_000): Promise<void> {
  const end = performance.now() + timeoutMillis;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`expected ${what}: nothing within ${timeoutMillis} ms`);
    await sleep(20);
  }
}

const reloads = (agent: AgentProcess) => agent.log.filter((line) => line.includes('the rules were reloaded')).length;
const refusals = (agent: AgentProcess) => agent.log.filter((line) => line.includes('were not reloaded')).length;

async function metric(agent: AgentProcess, name: string): Promise<number | undefined> {
  return (await agent.metrics()).get(name);
}

describe('changed rules', () => {
  test('are loaded however an editor or Kubernetes writes them, and their event types are collected', async (t) => {
    const folder = temporaryFolder(t);
    const rules = join(folder, 'rules.d');
    const file = join(folder, 'file');
    writeFileSync(file, 'x');
    mkdirSync(rules);
    const agent = await start(t, [rules]);
    const MISSED = 'shikra_process_table_missed_total';
    const matches = (name: string) => `shikra_rule_matches_total{rule="${name}",priority="Warning",source="syscall"}`;
    const seen = () => agent.detections.map((alert) => alert.rule).filter((name) => /^[A-D]$/.test(name));
    const detects = async (...names: readonly string[]) => {
      const from = seen().length;
      readFileSync(file);
      const other = spawn(TRIGGER, ['chmod', file, '0600']);
      await once(other, 'close');
      await until('the detections', () => seen().length >= from + names.length, 20_000);
      await sleep(names.length === 0 ? 300 : 100);
      assert.deepEqual(seen().slice(from), names);
    };
    const change = async (act: () => void) => {
      const [done] = [reloads(agent)];
      act();
      await until('a reload', () => reloads(agent) > done);
    };
    await detects();
    // Of what ended while the agent began the table knows nothing; from its first count on it must know all.
    await until('the first count', async () => (await metric(agent, 'shikra_process_table_entries'))! > 0);
    const missed = await metric(agent, MISSED);
    await change(() => writeFileSync(join(rules, 'a.yaml'), rule('A', opensOf(file))));
    await detects('A');
    await change(() => {
      // as editors do: another file takes the name
      writeFileSync(join(rules, '.a.yaml.swp'), rule('B', `evt.type = chmod and evt.arg.filename = ${file}`));
      renameSync(join(rules, '.a.yaml.swp'), join(rules, 'a.yaml'));
    });
    await detects('B');
    await change(() => unlinkSync(join(rules, 'a.yaml')));
    await detects();
    await change(() => {
      mkdirSync(join(rules, '..1'));
      writeFileSync(join(rules, '..1', 'c.yaml'), rule('C', opensOf(file)));
      symlinkSync('..1', join(rules, '..data'));
      symlinkSync('..data/c.yaml', join(rules, 'c.yaml'));
    });
    await detects('C');
    await change(() => {
      // as Kubernetes updates a ConfigMap: one link is replaced
      mkdirSync(join(rules, '..2'));
      writeFileSync(join(rules, '..2', 'c.yaml'), rule('D', opensOf(file)));
      symlinkSync('..2', join(rules, '..data_tmp'));
      renameSync(join(rules, '..data_tmp'), join(rules, '..data'));
      rmSync(join(rules, '..1'), { recursive: true });
    });
    await detects('D');
    assert.equal(await metric(agent, 'shikra_rules_loaded'), 1);
    assert.equal(await metric(agent, 'shikra_rules_reload_total{outcome="success"}'), 5);
    for (const name of ['A', 'B', 'C', 'D'])
      await until(`${matches(name)} 1`, async () => (await metric(agent, matches(name))) === 1);
    assert.equal(await metric(agent, MISSED), missed, 'the process table survives');
  });

  test('with mistakes leave the ones before in force: each mistake in the log, a metric, a detection', async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'file');
    const rules = join(folder, 'rules.yaml');
    writeFileSync(file, 'x');
    writeFileSync(rules, rule('Good', opensOf(file)));
    const agent = await start(t, [rules]);
    writeFileSync(rules, rule('One', 'evt.typ = open') + rule('Two', 'proc.name =') + rule('Good', 'proc.name = x'));
    const told = await agent.detection('Shikra internal: rules rejected');
    assert.equal(told.priority, 'Error');
    assert.match(told.output, /they have 2 mistakes.*evt\.typ.*unexpected/s);
    const log = agent.log.join('\n');
    assert.match(log, /rules\.yaml:3:14: error LOAD_ERR_COMPILE_CONDITION: rule 'One': nonexistent field 'evt\.typ'/);
    assert.match(log, /rules\.yaml:8:\d+: error LOAD_ERR_COMPILE_CONDITION: rule 'Two'/);
    assert.equal(await metric(agent, 'shikra_rules_reload_total{outcome="failure"}'), 1);
    assert.equal(await metric(agent, 'shikra_rules_last_reload_success'), 0);
    readFileSync(file);
    await agent.detection('Good');

    writeFileSync(rules, rule('Better', opensOf(file)));
    await until('a reload', () => reloads(agent) === 1);
    assert.equal(await metric(agent, 'shikra_rules_last_reload_success'), 1);
    readFileSync(file);
    await agent.detection('Better');
    assert.equal(agent.detections.filter((alert) => alert.rule === 'Good').length, 1);
  });

  test('are loaded at SIGHUP, and one change makes one reload', async (t) => {
    const folder = temporaryFolder(t);
    const rules = join(folder, 'rules.yaml');
    writeFileSync(rules, rule('A', opensOf('/nowhere')));
    const agent = await start(t, [rules]);
    agent.child.kill('SIGHUP');
    await until('a reload', () => reloads(agent) === 1);
    for (let i = 0; i < 10; i++) appendFileSync(rules, `# ${i}\n`);
    await until('a reload', () => reloads(agent) >= 2);
    let done = 0;
    await until('reloads to end', async () => {
      done = reloads(agent);
      await sleep(2000);
      return reloads(agent) === done;
    });
    assert.ok(done < 5, 'ten writes are one change, or on a busy machine a few');
    writeFileSync(rules, readFileSync(rules)); // nothing changed
    await sleep(500);
    assert.equal(reloads(agent), done);
    assert.equal(agent.child.exitCode, null);
  });

  test('hook system calls when a rule first wants one', async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'file');
    const rules = join(folder, 'only.yaml');
    writeFileSync(file, 'x');
    writeFileSync(rules, rule('Exec', 'evt.type = execve and proc.name = nobody'));
    const agent = await start(t, [rules]);
    readFileSync(file);
    await sleep(200);
    assert.equal(await metric(agent, 'shikra_events_total{type="openat"}'), 0);
    writeFileSync(rules, rule('Open', opensOf(file)));
    await until('a reload', () => reloads(agent) === 1);
    readFileSync(file);
    await agent.detection('Open');
  });
});

describe('rules chosen in the configuration', () => {
  test('are switched in order, whatever the files say', async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'file');
    const rules = join(folder, 'only.yaml');
    writeFileSync(file, 'x');
    const text = ['Opened A', 'Opened B', 'Opened C']
      .map((name) => rule(name, opensOf(file), '  tags: [net]\n'))
      .join('');
    writeFileSync(rules, text + rule('Off', opensOf(file), '  enabled: false\n'));
    const choice = [
      { disable: { tag: 'net' } },
      { enable: { rule: '*B' } },
      { enable: { rule: 'Off' } },
      { disable: { rule: 'No*such' } },
    ];
    const agent = await start(t, [rules], { rule_matching: 'all', rules: choice });
    readFileSync(file);
    await agent.detection('Off');
    await sleep(100);
    assert.deepEqual(
      agent.detections.map((alert) => alert.rule),
      ['Opened B', 'Off'],
    );
    assert.ok(agent.log.some((line) => line.includes('no rule is chosen by')));
  });
});

describe('while events come without end', () => {
  const RELOADS = 20;
  let pauses: number[] = [];

  attempt(31, 'files are opened all through twenty reloads', {}, async (t) => {
    const folder = temporaryFolder(t);
    const [file, other] = [join(folder, 'counted'), join(folder, 'other')];
    const rules = join(folder, 'only.yaml');
    writeFileSync(file, 'x');
    writeFileSync(other, 'x');
    const counted = rule('Counted', opensOf(file));
    const sets = [0, 1].map((number) => {
      const others = Array.from({ length: 40 }, (_, index) =>
        rule(
          `R${number} ${index}`,
          `${opensOf(`/no/${number}/${index}`)} or (evt.type = ${number === 0 ? 'chmod' : 'unlink'} and proc.name = n${index})`,
        ),
      );
      return `${others.join('')}${counted}`;
    });
    writeFileSync(rules, sets[0]!);
    const agent = await start(t, [rules], { ring_preset: 6 });

    // Opens a file that is counted once in a while, and another one all the time; stops at a line, then says how many there were.
    const script = `import os,sys,select
n=0
while not select.select([sys.stdin],[],[],0)[0]:
  for _ in range(400):
    os.close(os.open(${JSON.stringify(other)}, 0))
  os.close(os.open(${JSON.stringify(file)}, 0)); n+=1
print(n)`;
    const loop: ChildProcess = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => loop.kill('SIGKILL'));
    let printed = '';
    loop.stdout!.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    for (let i = 1; i <= RELOADS; i++) {
      writeFileSync(rules, sets[i % 2]!);
      await until(`reload ${i}`, () => reloads(agent) === i, 20_000);
    }
    loop.stdin!.end('\n');
    await once(loop, 'close');
    const opens = Number(printed);
    const detected = () => agent.detections.filter((alert) => alert.rule === 'Counted').length;
    // If they do not all come, the numbers below say more than the time-out would.
    await until(`${opens} detections`, () => detected() >= opens, 20_000).catch(() => {});
    for (const reason of ['ring_full', 'cgroup_over_share'])
      assert.equal(
        await metric(agent, `shikra_events_dropped_total{reason="${reason}",class="file"}`),
        0,
        `no event lost (${reason})`,
      );
    assert.equal(detected(), opens);
    pauses = agent.log.flatMap((line) =>
      line.includes('longest_pause_ms') ? [JSON.parse(line).longest_pause_ms as number] : [],
    );
    t.diagnostic(`${opens} opens counted; the collector paused for at most ${Math.max(...pauses)} ms`);
    assert.equal(refusals(agent), 0);
    return shown(`${opens} opens, ${detected()} detections`);
  });

  test('a reload does not keep the collector from its rings for long', () => {
    // one or the other does on a machine with more to do than processors
    assert.equal(pauses.length, RELOADS);
    const median = pauses.toSorted((a, b) => a - b)[RELOADS / 2]!;
    assert.ok(median < 100, String(pauses));
  });
});

test('a folder of rules that does not exist yet is watched for', async (t) => {
  const folder = temporaryFolder(t);
  const [rules, later, file] = [join(folder, 'only.yaml'), join(folder, 'a', 'later.d'), join(folder, 'file')];
  writeFileSync(file, 'x');
  writeFileSync(rules, rule('A', opensOf('/nowhere')));
  const agent = await start(t, [rules, later]);
  assert.ok(!existsSync(later));
  mkdirSync(later, { recursive: true });
  await sleep(300);
  writeFileSync(join(later, 'x.yaml'), rule('Later', opensOf(file)));
  await until('a reload', () => reloads(agent) === 1);
  readFileSync(file);
  await agent.detection('Later');
});
