/** What waits for the metadata of its container, and for how long: with containers by runc, and an engine that answers when it is told to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { asUser, Command, configure, NEEDED_CAPABILITIES, temporaryFolder } from '../kernel/agent-command.ts';
import { AgentProcess, type Alert } from '../kernel/agent-process.ts';
import { Containers, noContainers } from '../kernel/containers.ts';
import { metricsWhen, until } from './secrets.ts';
import { SlowEngine } from './slow-engine.ts';

const skip = noContainers();
const MARK = `shikra-held-${randomBytes(4).toString('hex')}`;
const FILE = `/etc/${MARK}`;
/** More than there is room for. */
const MANY = 40_000;
const opened = (path: string) => `evt.type in (open, openat, openat2) and fd.name = ${path}`;
const rule = (name: string, rest: object) => ({
  rule: name,
  desc: name,
  output: '%container.name %shikra.container.metadata',
  priority: 'NOTICE',
  ...rest,
});

const RULES = [
  rule('Opened by the slow image', {
    condition: `${opened(FILE)} and container.image.repository = registry.test/slow`,
  }),
  rule('Opened', { condition: `${opened(FILE)} and container.id != host` }),
  rule(`Opened ${MANY} times`, {
    condition: `${opened(`${FILE}-3`)} and container.id != host`,
    threshold: { count: MANY, window: '1m' },
  }),
  rule('First in a container, then on the host', {
    sequence: {
      within: '1m',
      by: ['evt.source'],
      steps: [
        { condition: `${opened(`${FILE}-1`)} and container.image.repository = registry.test/slow` },
        { condition: `${opened(`${FILE}-2`)} and container.id = host` },
      ],
    },
  }),
];

describe('an event in a container of which nothing is known yet', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-held-'));
  const engine = new SlowEngine();
  const containers = skip === false ? new Containers() : undefined;
  const running: AgentProcess[] = [];

  before(async () => {
    for (const name of [FILE, `${FILE}-1`, `${FILE}-2`, `${FILE}-3`]) containers!.add('/etc/hostname', name);
    writeFileSync(join(folder, 'rules.yaml'), JSON.stringify(RULES));
    await engine.start();
  });

  after(async () => {
    for (const agent of running) await agent.close();
    containers?.close();
    engine.close();
    rmSync(folder, { recursive: true });
  });

  async function start(hold: string, socket = engine.socket): Promise<AgentProcess> {
    const sockets = { docker: [socket], podman: [], containerd: [], cri: [] };
    const agent = await AgentProcess.start({
      bundled: [join(folder, 'rules.yaml')],
      receiver: { containers: { hold, ...sockets }, rule_matching: 'all' },
    });
    running.push(agent);
    await until(agent, () => agent.log.some((line) => line.includes('a container engine tells')));
    return agent;
  }

  const names = (alerts: readonly Alert[]) => alerts.map(({ rule: name }) => name);
  const open = (path: string) => containers!.run(['cat', path]).id;

  it('waits until the engine has answered, and is decided by the answer', async () => {
    const agent = await start('1m');
    const id = open(FILE);
    await until(agent, () => engine.wasAskedAbout(id));
    assert.deepEqual(agent.detections, []);
    engine.answer();
    await until(agent, () => agent.detections.length === 2);
    assert.deepEqual(names(agent.detections), ['Opened by the slow image', 'Opened']);
    const name = `slow-${id.slice(0, 4)}`;
    for (const { output_fields: fields } of agent.detections) assert.equal(fields['container.name'], name);
    // More than the one where the cgroup of this process is one that only an engine can tell from a container's.
    await metricsWhen(agent, (found) => found.get('shikra_container_held_events_total{outcome="known"}')! >= 1);
    await agent.close();
  });

  it('keeps its place before later events, for rules over several events', async () => {
    const agent = await start('1m');
    writeFileSync(`${FILE}-2`, '');
    try {
      const id = open(`${FILE}-1`);
      await until(agent, () => engine.wasAskedAbout(id));
      const caused = agent.caused(() => execFileSync('cat', [`${FILE}-2`]));
      await caused; // the marker after it has been seen, so it has been, too
      assert.deepEqual(agent.detections, []);
      engine.answer();
      const { rule: name } = await agent.detection('First in a container, then on the host');
      assert.equal(name, 'First in a container, then on the host');
    } finally {
      rmSync(`${FILE}-2`);
    }
    await agent.close();
  });

  it('goes on without an answer when its time is over; the answer is for what comes later', async () => {
    const agent = await start('200ms');
    const id = containers!.start();
    containers!.exec(id, ['cat', FILE]);
    const late = await agent.detection('Opened');
    assert.deepEqual(names(agent.detections), ['Opened']);
    assert.equal(late.output_fields['shikra.container.metadata'], 'late');
    assert.equal(late.output_fields['container.name'], null);
    await metricsWhen(agent, (found) => {
      engine.answer(); // the agent gives up a question after five seconds, and asks again
      return found.get('shikra_containers{metadata="known"}')! > 0;
    });
    containers!.exec(id, ['cat', FILE]);
    const known = await agent.detection('Opened by the slow image');
    assert.equal(known.output_fields['container.name'], `slow-${id.slice(0, 4)}`);
    containers!.stop(id);
    await agent.close();
  });

  it('goes on when so many wait that there is no room, and none is lost', async () => {
    const agent = await start('1m');
    const loop = `i=0; while [ $i -lt ${MANY} ]; do read -r line < ${FILE}-3; i=$((i + 1)); done`;
    containers!.run(['sh', '-c', loop]);
    await agent.detection(`Opened ${MANY} times`, 20_000);
    assert.equal(agent.detections.length, 1);
    await metricsWhen(agent, (found) => found.get('shikra_container_held_events_total{outcome="no_room"}')! > 0);
    engine.answer();
    await agent.close();
  });

  it('does not wait for the engine of a user who has nothing to say about it', async () => {
    const theirs = new SlowEngine();
    await theirs.start(1000);
    const agent = await start('1m', theirs.socket);
    const id = open(FILE);
    const alert = await agent.detection('Opened');
    assert.equal(alert.output_fields['shikra.container.metadata'], 'unknown');
    assert.equal(theirs.wasAskedAbout(id), false);
    await agent.close();
    theirs.close();
  });

  it('does not wait for an engine that the agent may not speak to', async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o755);
    chmodSync(dirname(engine.socket), 0o755);
    const asked = { hold: '1m', docker: [engine.socket], podman: [], containerd: [], cri: [] };
    const config = configure(folder, { rules: JSON.stringify(RULES), kernel: { containers: asked } });
    const agent = await new Command(t, ['run', '-c', config], asUser(folder, NEEDED_CAPABILITIES)).ready();
    await agent.until('the engine to refuse', () => agent.stderr.includes('EACCES'));
    open(FILE);
    await agent.until('a detection', () => agent.detections.length > 0);
    assert.equal(agent.detections[0]!.output_fields['shikra.container.metadata'], 'unknown');
  });

  it('goes out before the agent stops', async () => {
    const agent = await start('1m');
    const id = open(FILE);
    await until(agent, () => engine.wasAskedAbout(id));
    await agent.stop();
    assert.deepEqual(names(agent.detections), ['Opened']);
    assert.equal(agent.detections[0]!.output_fields['shikra.container.metadata'], 'late');
    engine.answer();
  });
});
