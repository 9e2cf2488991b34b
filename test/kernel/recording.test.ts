/** The law of recordings: what the agent detects live, a replay of the same events detects. On the real kernel. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { RecordingReader } from '../../collector/recording/reader.ts';
import { Replay } from '../../collector/recording/replay.ts';
import { bundledRulesPath } from '../../rules/index.ts';
import { checkedRules, comparable, RecordedRun } from '../recording/recorded-run.ts';
import { Containers, noContainers } from './containers.ts';

const skip = process.getuid?.() === 0 ? false : 'the probe needs root';
const MARK = `shikra-recording-${process.pid}`;
const rule = (name: string, rest: object) => ({ rule: name, desc: name, priority: 'NOTICE', ...rest });
const OPENED = 'evt.type in (open, openat, openat2)';
const FACTS =
  '%evt.num %evt.time %evt.hostname %user.name %user.loginname %group.name %proc.cmdline %proc.exepath %proc.pname %proc.aname %proc.pid.ts %proc.ppid.duration %container.id %container.name %container.image.repository %container.start_ts %fd.name';

const RULES = checkedRules(
  JSON.stringify([
    rule('Marked', { condition: `evt.type in (execve, execveat) and proc.args contains ${MARK}`, output: FACTS }),
    rule('Opened', { condition: `${OPENED} and fd.name startswith /tmp/${MARK}`, output: FACTS }),
    rule('Connected', { condition: 'evt.type = connect and fd.sport in (1, 2)', output: `%fd.rip ${FACTS}` }),
    rule('Forked', { condition: 'evt.type in (clone, clone3, vfork, fork)', output: FACTS }),
    rule('Shadow', { condition: `${OPENED} and fd.name endswith /etc/shadow`, output: FACTS }),
    rule('By image', {
      condition: `${OPENED} and fd.name endswith /etc/passwd and container.image.repository = registry.test/recorded`,
      output: FACTS,
    }),
    rule('Often', {
      condition: `${OPENED} and fd.name startswith /tmp/${MARK}`,
      threshold: { count: 3, window: '10s', by: ['proc.name'] },
      output: `%shikra.count ${FACTS}`,
    }),
    rule('Run, then read', {
      sequence: {
        within: '10s',
        by: ['proc.pid'],
        steps: [
          { condition: `evt.type in (execve, execveat) and proc.args contains ${MARK}` },
          { condition: `${OPENED} and fd.name startswith /tmp/${MARK}` },
        ],
      },
      output: FACTS,
    }),
    rule('Environment', {
      condition: 'evt.type = execve and proc.env[SHIKRA_TEST] != ""',
      output: '%proc.env[SHIKRA_TEST]',
    }),
  ]),
);

const NOT_ENDED = 'it was not ended: whoever recorded it was killed, ran out of space, or records still';

function replayed(
  path: string,
  rules = RULES,
  matching: 'first' | 'all' = 'all',
  damage?: string,
): { replay: Replay; detections: Detection[] } {
  const reader = new RecordingReader(path);
  try {
    const replay = new Replay(reader, { rules, matching });
    const detections = [...replay.run()].flat();
    assert.equal(replay.damage?.what, damage);
    assert.equal(replay.unanswered, 0, 'the process table asked for the same processes');
    return { replay, detections };
  } finally {
    reader.close();
  }
}

function assertSame(live: readonly Detection[], recorded: readonly Detection[]): void {
  assert.equal(recorded.length, live.length);
  for (const [index, detection] of live.entries())
    assert.deepEqual(comparable(recorded[index]!), comparable(detection));
}

function work(): void {
  const script = `for i in 1 2 3 4; do cat /tmp/${MARK}-$i; done; cat /etc/shadow /etc/passwd; (sh -c 'sh -c "true ${MARK}"; true'); sh -c 'cat /tmp/${MARK}-same; true' ${MARK}`;
  spawnSync('sh', ['-c', script], {
    timeout: 20_000,
    stdio: 'ignore',
    env: { PATH: process.env.PATH, SHIKRA_TEST: MARK },
  });
}

async function refused(): Promise<void> {
  const socket = createServer().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.close();
  const connect = 'import socket\nfor p in (1, 2):\n  s = socket.socket()\n  s.connect_ex(("127.0.0.1", p))';
  spawnSync('python3', ['-c', connect], { timeout: 20_000, stdio: 'ignore' });
}

describe('a recording', { skip }, () => {
  let folder: string;
  const path = (name: string) => join(folder, name);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'shikra-recording-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('knows what the names in rules stood for: the machine that replays is asked for none', async () => {
    // others on this machine connect, too
    const refusedHere = `evt.type = connect and fd.sport in (1, 2) and proc.ppid = ${process.pid}`;
    const rules = checkedRules(
      JSON.stringify([
        rule('To it', { condition: `${refusedHere} and fd.sip.name = recorded.invalid`, output: '%fd.sip.name' }),
        rule('Elsewhere', {
          condition: `${refusedHere} and fd.sip.name != recorded.invalid`,
          output: '%fd.sip.name %fd.sport',
        }),
      ]),
    );
    const run = await RecordedRun.start({ path: path('names'), rules, matching: 'all' });
    await refused();
    run.turn();
    run.tellDomainNames({ 'recorded.invalid': ['127.0.0.1'] });
    await refused();
    run.turn();
    assert.equal(run.end(), 0);
    const seen = run.detections.map(({ rule: name }) => name);
    assert.deepEqual(seen, ['Elsewhere', 'Elsewhere', 'To it', 'To it']);
    const { replay, detections } = replayed(path('names'), rules);
    assertSame(run.detections, detections);
    assert.deepEqual(replay.namesNotRecorded, []);
    const others = checkedRules(
      JSON.stringify([rule('Other', { condition: 'evt.type = connect and fd.sip.name = a.invalid', output: 'o' })]),
    );
    const other = replayed(path('names'), others);
    assert.deepEqual([other.detections, other.replay.namesNotRecorded], [[], ['a.invalid']]);
  });

  it('has where links led, which are gone when it is replayed', async () => {
    const [real, link] = [path('real'), path('link')];
    const condition = (file: string) => `evt.type in (unlink, unlinkat) and fs.path.name = ${file}`;
    const rules = checkedRules(
      JSON.stringify([
        rule('Where it leads', { condition: condition(`${real}/file`), output: FACTS }),
        rule('As written', { condition: condition(`${link}/file`), output: FACTS }),
        rule('Moved', {
          condition: `evt.type in (rename, renameat, renameat2) and fs.path.source = ${real}/a and fs.path.target = ${real}/b`,
          output: '%fs.path.source %fs.path.target',
        }),
      ]),
    );
    const run = await RecordedRun.start({ path: path('links'), rules, matching: 'all' });
    const script = 'mkdir "$0" && ln -s "$0" "$1" && touch "$0/a" "$1/file" && mv "$1/a" "$1/b" && rm "$1/file"';
    spawnSync('sh', ['-c', script, real, link], { timeout: 20_000 });
    run.turn();
    assert.equal(run.end(), 0);
    rmSync(real, { recursive: true });
    rmSync(link);
    const seen = run.detections.map(({ rule: name }) => name).sort();
    assert.deepEqual(seen, ['As written', 'Moved', 'Where it leads']);
    assertSame(run.detections, replayed(path('links'), rules).detections);
  });

  it('gives the detections that were made live: rule, output, fields, evidence, time, order', async () => {
    const run = await RecordedRun.start({
      path: path('all'),
      rules: RULES,
      matching: 'all',
      captureEnv: ['SHIKRA_TEST'],
    });
    work();
    run.turn();
    run.tick();
    await refused();
    work();
    run.turn();
    run.tick();
    assert.equal(run.end(), 0, 'nothing was lost');
    const { detections } = replayed(path('all'));
    assertSame(run.detections, detections);
    const fired = new Set(detections.map((detection) => detection.rule));
    for (const name of ['Marked', 'Opened', 'Connected', 'Forked', 'Shadow', 'Often', 'Run, then read', 'Environment'])
      assert.ok(fired.has(name), `${name} fired`);
  });

  it('gives the same lines each time it is replayed', async () => {
    const run = await RecordedRun.start({ path: path('again'), rules: RULES });
    work();
    run.turn();
    run.end();
    const { detections } = replayed(path('again'));
    assert.ok(detections.length > 0);
    assert.deepEqual(replayed(path('again')).detections, detections);
    assert.equal(new Set(detections.map(({ uuid }) => uuid)).size, detections.length);
  });

  it('gives the same with the bundled rules', async () => {
    const text = ['shikra_rules', 'yielding'].map((name) => readFileSync(`${bundledRulesPath()}/${name}.yaml`, 'utf8'));
    const rules = checkedRules(text.join('\n'));
    const run = await RecordedRun.start({ path: path('bundled'), rules });
    work();
    run.turn();
    run.end();
    const { detections } = replayed(path('bundled'), rules, 'first');
    assert.ok(detections.length > 0);
    assertSame(run.detections, detections);
  });

  it('has the look-ups of a process table that is too small, and those of processes that were gone by then', async () => {
    const run = await RecordedRun.start({
      path: path('small'),
      rules: RULES,
      matching: 'all',
      processTableEntries: 2,
    });
    work();
    run.turn();
    work();
    run.turn();
    run.end();
    assert.ok(run.source.table.counts.missed > 0, 'processes had to be looked up');
    const { detections } = replayed(path('small'));
    assertSame(run.detections, detections);
  });

  it('needs nothing of what the agent does to find out where links lead', async (t) => {
    // The agent's own calls are in no recording, but it was looked up for them: where the table was full another process had to go, and the replay went on without
    // its records. Seen on a machine where others renamed files meanwhile.
    const renaming = 'while mkdir "$0-a" && mv "$0-a" "$0-b" && rmdir "$0-b"; do cat /etc/hostname; done';
    const other = spawn('sh', ['-c', renaming, path('moved')], { stdio: 'ignore' });
    t.after(() => other.kill());
    const run = await RecordedRun.start({ path: path('own'), rules: RULES, matching: 'all', processTableEntries: 2 });
    for (let i = 0; i < 10; i++) {
      work();
      run.turn();
    }
    run.end();
    assertSame(run.detections, replayed(path('own')).detections);
  });

  it('tells how much was lost in a ring that was too small', async () => {
    const run = await RecordedRun.start({ path: path('lossy'), rules: RULES, matching: 'all', ringPreset: 1 });
    const many = 'import os\nfor i in range(30000): os.path.exists("/") or 0; os.close(os.open("/etc/hostname", 0))';
    spawnSync('python3', ['-c', many], { timeout: 30_000 });
    run.turn();
    work();
    run.turn();
    const lost = run.end();
    assert.ok(lost > 0, 'something was lost');
    const { replay, detections } = replayed(path('lossy'));
    assert.equal((replay.losses.ring_full ?? 0) + (replay.losses.cgroup_over_share ?? 0), lost);
    assertSame(run.detections, detections);
  });

  it('of a recorder that was killed is good up to its last second', async () => {
    const run = await RecordedRun.start({ path: path('killed'), rules: RULES, matching: 'all' });
    work();
    run.turn();
    run.tick();
    const live = run.detections.length;
    run.kill();
    const { detections } = replayed(path('killed'), RULES, 'all', NOT_ENDED);
    assertSame(run.detections.slice(0, live), detections);
  });

  it('knows the containers that an engine told of, and when it did', { skip: noContainers() }, async () => {
    const containers = new Containers();
    const run = await RecordedRun.start({
      path: path('containers'),
      rules: RULES,
      matching: 'all',
      hasContainerEngines: true,
    });
    try {
      const known = containers.start();
      containers.exec(known, ['cat', '/etc/passwd', '/etc/shadow']);
      run.turn(); // its events wait
      assert.ok(!run.detections.some(({ rule }) => rule === 'By image'), 'nothing is known of it yet');
      for (const request of run.wanted.splice(0)) if (request.id !== known) run.hear({ type: 'unknown', request });
      run.hear({ type: 'known', owner: undefined, metadata: metadataOf(known) });
      run.turn();
      assert.ok(
        run.detections.some(({ rule }) => rule === 'By image'),
        'it is known now',
      );
      containers.run(['cat', '/etc/shadow']);
      run.turn();
      for (const request of run.wanted.splice(0)) run.hear({ type: 'unknown', request });
      run.turn();
      containers.run(['cat', '/etc/shadow']); // of which nobody tells before the end
      run.turn();
    } finally {
      run.end();
      containers.close();
    }
    const { detections } = replayed(path('containers'));
    assertSame(run.detections, detections);
    const states = new Set(detections.map(({ evidence }) => evidence['shikra.container.metadata']));
    assert.ok(states.has('unknown') && states.has('late'), 'of every kind there was one');
    const named = detections.find(({ rule }) => rule === 'By image')!;
    assert.equal(named.evidence['container.name'], 'recorded');
    assert.equal(named.evidence['container.label.team'], 'blue');
  });
});

function metadataOf(id: string) {
  return {
    id,
    namespace: undefined,
    type: 'docker',
    name: 'recorded',
    image: 'registry.test/recorded:1',
    imageId: undefined,
    imageRepository: 'registry.test/recorded',
    imageTag: '1',
    imageDigest: undefined,
    privileged: false,
    hostPid: undefined,
    hostNetwork: undefined,
    hostIpc: undefined,
    mounts: [],
    ip: undefined,
    cniJson: undefined,
    healthcheck: undefined,
    startedNs: 1_700_000_000_123_456_789n,
    labels: { team: 'blue' },
    pod: undefined,
  };
}
