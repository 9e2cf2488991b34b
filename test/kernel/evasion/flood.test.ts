import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import type { DropReason, EventClass, Refusals } from '../../../collector/telemetry/collector-stats.ts';
import { HostCgroup } from '../../containers/host-cgroup.ts';
import { AgentProcess } from '../agent-process.ts';
import { Capture } from '../capture.ts';
import { Containers, noContainers } from '../containers.ts';
import { buildTrigger, TRIGGER } from '../trigger.ts';
import { attempt, shown } from './attempt.ts';
import { buildEvade, EVADE } from './evade.ts';

/**
 * Nobody reads while this goes on: small rings are full many times over. Not the smallest: what is left in them must do for all that this machine has to do
 * meanwhile, other tests included.
 */
const RING_PRESET = 3;
const FLOODS = [
  { what: 'open', ofClass: 'file', types: ['open', 'openat'], enough: 60_000, cpusPerRing: 1 },
  { what: 'open', ofClass: 'file', types: ['open', 'openat'], enough: 60_000, cpusPerRing: 0 },
  { what: 'socket', ofClass: 'network', types: ['socket'], enough: 60_000, cpusPerRing: 1 },
  { what: 'fork', ofClass: 'process', types: ['vfork', 'procexit'], enough: 5000, cpusPerRing: 1 },
] as const;
const TRIGGERS = 20;
/** What a flood does at its start and end. */
const OWN = 10;
const READ = 'Password database read by an untrusted program';
const LIMIT_MILLIS = 20_000;
const FLOOD = 'Shikra internal: flood';

let folder: string;
let file: string;
let flooding: HostCgroup;
let quiet: HostCgroup;

before(() => {
  buildEvade();
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-flood-'));
  file = join(folder, 'file');
  writeFileSync(file, '');
  flooding = new HostCgroup(`shikra-flooding-${process.pid}`);
  quiet = new HostCgroup(`shikra-quiet-${process.pid}`);
});

after(() => {
  flooding.close();
  quiet.close();
  rmSync(folder, { recursive: true });
});

type Running = ReturnType<HostCgroup['start']>;

/** When `evade flood` is under way. @returns what ends it, and says how many there were */
async function flood(t: TestContext, child: Running): Promise<() => Promise<number>> {
  let printed = '';
  t.after(() => child.kill('SIGKILL'));
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  while (!printed.includes('flooding\n')) await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    await once(child, 'close');
    return Number(printed.split('\n')[1]);
  };
}

/** A shell in a cgroup, which does nothing yet: who floods with processes keeps others from moving into a cgroup. */
function witness(t: TestContext, path: string, cgroup = quiet): () => Promise<void> {
  const script = `read line; i=0; while [ $i -lt ${TRIGGERS} ]; do ${TRIGGER} open ${path} 0 $i > /dev/null; i=$((i+1)); done`;
  const shell = cgroup.start(['sh', '-c', script]);
  t.after(() => shell.kill('SIGKILL'));
  return async () => {
    shell.stdin.end('\n');
    await once(shell, 'close');
  };
}

function lost(capture: Capture, reason: DropReason, ofClass: EventClass): number {
  const drops = capture.source.stats().drops.filter((drop) => drop.reason === reason && drop.class === ofClass);
  return drops.reduce((sum, { count }) => sum + count, 0);
}

function refusedIn({ source }: Capture, path: string): Refusals['counts'] | undefined {
  return source.refusals().find(({ cgroupId }) => source.table.cgroupPath(cgroupId) === path)?.counts;
}

for (const { what, ofClass, types, enough, cpusPerRing } of FLOODS) {
  const where = cpusPerRing === 0 ? ' in a ring that all processors share' : '';
  attempt(
    11,
    `a flood of ${what}${where} does not cost an event of another cgroup, and each of its own is counted`,
    {},
    async (t) => {
      const capture = await Capture.start({ ringPreset: RING_PRESET, cpusPerRing });
      t.after(() => capture.close());
      capture.drain();
      const act = witness(t, file);
      const end = await flood(t, flooding.start([EVADE, 'flood', what, String(enough), file]));
      await act();
      const made = await end();

      let delivered = 0;
      const seen = new Map(Array.from({ length: TRIGGERS }, (_, index) => [`open ${file} 0 ${index}`, [] as string[]]));
      const isFloods = new Set<string>(types);
      capture.watch((event) => {
        seen.get(event.process.image.args)?.push(event.typeName);
        if (event.process.image.cgroup === flooding.name && isFloods.has(event.typeName)) delivered++;
      });
      capture.drain();

      const refused = refusedIn(capture, flooding.name)?.[ofClass] ?? 0;
      t.diagnostic(`made ${made}, delivered ${delivered}, refused ${refused}`);
      assert.ok(refused > 0, 'rings were full');
      for (const [args, events] of seen) assert.deepEqual([args, ...events], [args, 'execve', 'open', 'procexit']);
      assert.equal(refusedIn(capture, quiet.name), undefined);
      assert.equal(lost(capture, 'ring_full', 'process'), 0);
      const otherwise = lost(capture, 'ring_full', ofClass) + lost(capture, 'scratch_busy', ofClass);
      const events = made * types.filter((type) => type !== 'openat').length;
      const missing = events - delivered - refused;
      assert.ok(
        missing <= otherwise && missing >= -OWN,
        `${missing} of ${events} unaccounted for, ${otherwise} lost otherwise`,
      );
      return shown(
        `all ${seen.size} events of the other cgroup; ${refused} of the flood’s ${events} refused and counted`,
      );
    },
  );
}

attempt(11, 'a flood of forks does not hide an execution of the same cgroup', {}, async (t) => {
  const capture = await Capture.start({ ringPreset: RING_PRESET });
  t.after(() => capture.close());
  capture.drain();
  const act = witness(t, file, flooding);
  const end = await flood(t, flooding.start([EVADE, 'flood', 'fork', '5000', file]));
  await act();
  await end();
  const executed: string[] = [];
  capture.watch((event) => {
    if (event.typeName === 'execve' && event.process.image.exePath === TRIGGER) executed.push(event.process.image.args);
  });
  capture.drain();
  assert.ok(refusedIn(capture, flooding.name)!.process > 0, 'rings were full');
  assert.deepEqual(
    executed,
    Array.from({ length: TRIGGERS }, (_, index) => `open ${file} 0 ${index}`),
  );
  return shown(`all ${executed.length} \`execve\``);
});

attempt(
  11,
  'while a container floods and the agent stands still, all that is done elsewhere is detected, and the container is told of',
  {
    skip: noContainers(),
  },
  async (t) => {
    const containers = new Containers();
    t.after(() => containers.close());
    containers.add(EVADE, '/bin/evade');
    const agent = await AgentProcess.start({ receiver: { ring_preset: RING_PRESET } });
    t.after(() => agent.close());
    const id = containers.start();
    const act = witness(t, '/etc/shadow');

    agent.child.kill('SIGSTOP');
    const end = await flood(t, containers.execute(id, ['evade', 'flood', 'open', '60000', '/etc/passwd']));
    await act();
    agent.child.kill('SIGCONT');
    // others on this machine may flood too
    const told = (state: string) =>
      agent.detection(
        ({ rule, output_fields: fields }) =>
          rule === FLOOD && fields['container.full_id'] === id && fields['shikra.flood.state'] === state,
        LIMIT_MILLIS,
      );
    const begun = await told('begun');
    await end();
    const over = await told('over');

    assert.match(begun.output, new RegExp(`^Container ${id.slice(0, 12)} floods: .* refused: \\d+ \\(file \\d+\\)$`));
    assert.equal(begun.priority, 'Warning');
    assert.equal(over.priority, 'Notice');
    const found = agent.detections
      .filter(({ rule, output_fields: fields }) => rule === READ && fields['proc.exepath'] === TRIGGER)
      .map(({ output_fields: fields }) => fields['proc.cmdline']);
    assert.deepEqual(
      found,
      Array.from({ length: TRIGGERS }, (_, index) => `trigger open /etc/shadow 0 ${index}`),
    );
    const metrics = await agent.metrics();
    const refused = metrics.get('shikra_events_dropped_total{reason="cgroup_over_share",class="file"}');
    assert.ok(Number(over.output_fields['shikra.flood.refused']) <= refused!, 'all are counted');
    assert.equal(metrics.get('shikra_events_dropped_total{reason="ring_full",class="process"}'), 0);
    return shown(`${found.length} times *${READ}*, *${FLOOD}* of the container`);
  },
);
