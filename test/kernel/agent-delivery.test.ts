/** From the system call to a receiver of OTLP, through everything that the agent is; and what is seen of it elsewhere. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatTime } from '../../collector/detection/time.ts';
import { probeSelfTest } from '../../native/index.ts';
import { OtlpReceiver, type ReceivedRecord, serveGrpc } from '../fixtures/otlp-receiver.ts';
import { Command, configure, opensOf, temporaryFolder } from './agent-command.ts';
import { buildTrigger, TRIGGER, trigger } from './trigger.ts';

const SUFFIX = 'shikra-delivery';
/** The promise is one second; a machine under test may be slower. */
const SOON_NANOS = 5_000_000_000n;

function markedFile(t: TestContext): { folder: string; file: string } {
  buildTrigger();
  const folder = temporaryFolder(t);
  const file = join(folder, SUFFIX);
  writeFileSync(file, '');
  return { folder, file };
}

const byPid = (records: readonly ReceivedRecord[], pid: number) =>
  records.filter(({ attributes }) => attributes['process.pid'] === pid);

test('a receiver gets each detection once, in the words of the semantic conventions, soon, and the same as stdout', async (t) => {
  const { folder, file } = markedFile(t);
  const receiver = new OtlpReceiver();
  const server = await serveGrpc(receiver);
  t.after(() => server.close());
  const exporters = { otlp: { endpoint: server.url, protocol: 'grpc' } };
  const agent = await new Command(t, ['run', '-c', configure(folder, { rules: opensOf(SUFFIX), exporters })]).ready();

  const before = BigInt(Date.now()) * 1_000_000n;
  const pids = Array.from({ length: 20 }, () => trigger(['open', file, '0', '0']).pid);
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  await receiver.until(() => receiver.records.length >= pids.length, 'each detection');
  await agent.until('each detection', () => agent.detections.length >= pids.length);
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0);

  assert.deepEqual(
    receiver.records.map(({ attributes }) => attributes['process.pid']),
    pids,
    'each once, in order',
  );
  assert.equal(new Set(receiver.uids).size, pids.length);
  assert.deepEqual(
    receiver.uids,
    agent.detections.map(({ uuid }) => uuid),
  );
  receiver.records.forEach((record, index) => {
    const alert = agent.detections[index]!;
    assert.equal(record.timeUnixNano, exactNanos(agent.stdout.split('\n')[index]!));
    assert.equal(alert.time, formatTime(record.timeUnixNano));
    assert.ok(record.timeUnixNano >= before && record.timeUnixNano <= after, 'the time of the kernel is wall clock');
    const delay = record.observedTimeUnixNano - record.timeUnixNano;
    assert.ok(delay >= 0n && delay < SOON_NANOS, `observed after ${delay} ns`);
    assert.equal(record.body, alert.output);
  });

  const [record] = receiver.records;
  const expected = {
    'log.record.uid': agent.detections[0]!.uuid,
    'security_rule.name': 'Marked file opened',
    'security_rule.description': 'A test.',
    'shikra.priority': 'warning',
    'shikra.rule.tags': ['test'],
    'shikra.event.source': 'syscall',
    'process.pid': pids[0],
    'process.parent_pid': process.pid,
    'process.executable.path': TRIGGER,
    'process.executable.name': 'trigger',
    'process.command_line': `trigger open ${file} 0 0`,
    'process.working_directory': `${process.cwd()}/`,
    'process.user.id': 0,
    'process.user.name': 'root',
    'shikra.process.comm': 'trigger',
    'shikra.process.parent.name': readFileSync('/proc/self/comm', 'utf8').trim(),
    'file.path': file,
    'file.name': SUFFIX,
    'file.directory': folder,
  };
  const got = Object.fromEntries(Object.keys(expected).map((name) => [name, record!.attributes[name]]));
  assert.deepEqual(got, expected);
  assert.deepEqual([record!.severityText, record!.severityNumber, record!.eventName], ['WARN', 13, 'shikra.detection']);
  assert.equal(record!.resource['host.name'], hostname());
  assert.equal(record!.resource['service.name'], 'shikra');
});

/** `evt.time` as the line has it: too long for a JavaScript number. */
function exactNanos(line: string): bigint {
  return BigInt(/"evt\.time":(\d+)/.exec(line)![1]!);
}

test('OTEL_EXPORTER_OTLP_ENDPOINT is all it takes to send there', async (t) => {
  const receiver = new OtlpReceiver();
  const server = await serveGrpc(receiver);
  t.after(() => server.close());
  // The defaults keep their store in /var/lib/shikra: here it goes with the process.
  const isolate = 'mount -t tmpfs none /var/lib && exec "$0" "$@"';
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: server.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  const agent = await new Command(t, ['run'], { prefix: ['unshare', '-m', 'sh', '-c', isolate], environment }).ready();
  // A bundled rule.
  const { pid } = spawnSync('cat', ['/etc/shadow']);
  await receiver.until(() => byPid(receiver.records, pid).length > 0, 'the detection');
  const [record] = byPid(receiver.records, pid);
  assert.equal(record!.attributes['file.path'], '/etc/shadow');
  await agent.until('the same on stdout', () =>
    agent.detections.some(({ uuid }) => uuid === record!.attributes['log.record.uid']),
  );
});

test('an endpoint that is down, and a kill meanwhile, lose nothing; what comes twice has the same uid', async (t) => {
  const { folder, file } = markedFile(t);
  const receiver = new OtlpReceiver();
  const first = await serveGrpc(receiver);
  t.after(() => first.close());
  const exporters = {
    otlp: { endpoint: first.url, protocol: 'grpc', retry: { initial_interval: '20ms', max_interval: '100ms' } },
  };
  const config = configure(folder, { rules: opensOf(SUFFIX), exporters });
  const seen = new Set<string>();
  const pids: number[] = [];
  const detect = async (agent: Command, count: number) => {
    const ours = Array.from({ length: count }, () => trigger(['open', file, '0', '0']).pid);
    pids.push(...ours);
    await agent.until('the detections', () => ours.every((pid) => agent.stdout.includes(`by ${pid} `)));
    for (const { uuid } of agent.detections) seen.add(uuid);
  };

  const agent = await new Command(t, ['run', '-c', config]).ready();
  await detect(agent, 10);
  await receiver.until(() => receiver.records.length >= 10, 'the first detections');
  await first.close();
  await detect(agent, 50);
  await agent.until('the failure', () => agent.stderr.includes('delivery failed'));
  agent.child.kill('SIGKILL');
  assert.equal(await agent.ended(), 'SIGKILL');

  const next = await new Command(t, ['run', '-c', config]).ready();
  await detect(next, 10);
  const second = await serveGrpc(receiver, first.port);
  t.after(() => second.close());
  await receiver.until(() => [...seen].every((uid) => receiver.uids.includes(uid)), 'everything');
  const byUid = new Map(
    receiver.records.map((record) => [record.attributes['log.record.uid'], record.attributes['process.pid']]),
  );
  assert.deepEqual([...byUid.values()], pids, 'one uid for each detection, however often it came');
});

test('only what the rules ask for is hooked', async (t) => {
  const { folder, file } = markedFile(t);
  const agent = await new Command(t, ['run', '-c', configure(folder, { rules: opensOf(SUFFIX) })]).ready();
  trigger(['connect', 'v4:127.0.0.1:1', '1']);
  trigger(['chmod', file, '0600']);
  trigger(['open', file, '0', '0']);
  await agent.until('the detection', () => agent.detections.length > 0);
  await agent.metricUntil('shikra_events_total{type="open"}', (value) => value > 0);
  for (const type of ['connect', 'chmod', 'socket', 'dup'])
    assert.equal(await agent.metric(`shikra_events_total{type="${type}"}`), 0, type);
});

test('a detection is in /metrics, with its rule and its latency', async (t) => {
  const { folder, file } = markedFile(t);
  const agent = await new Command(t, ['run', '-c', configure(folder, { rules: opensOf(SUFFIX) })]).ready();
  const name = 'shikra_rule_matches_total{rule="Marked file opened",priority="Warning",source="syscall"}';
  assert.equal(await agent.metric(name), 0);
  trigger(['open', file, '0', '0']);
  await agent.metricUntil(name, (value) => value === 1);
  assert.equal(await agent.metric('shikra_detection_latency_seconds_bucket{le="5"}'), 1);
});

test('what is lost while the agent cannot read is counted and told, and detections are whole again afterwards', async (t) => {
  const { folder, file } = markedFile(t);
  writeFileSync(join(folder, 'other'), '');
  const agent = await new Command(t, [
    'run',
    '-c',
    configure(folder, { rules: opensOf(SUFFIX), kernel: { ring_preset: 1 } }),
  ]).ready();
  agent.child.kill('SIGSTOP');
  // A hundred thousand opens do not fit into a ring of a MiB.
  const survivor = spawn(
    'sh',
    ['-c', `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); : < ${folder}/other; done; echo; read line; : < ${file}`],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  t.after(() => survivor.kill('SIGKILL'));
  await new Promise((resolve) => survivor.stdout.once('data', resolve));
  agent.child.kill('SIGCONT');

  await agent.metricUntil('shikra_events_dropped_total{reason="cgroup_over_share",class="file"}', (value) => value > 0);
  await agent.until('the word about it', () =>
    agent.detections.some(({ rule }) => rule === 'Shikra internal: events dropped'),
  );
  // The start of this process may be among what was lost: it is read from the kernel then.
  survivor.stdin.end('\n');
  const marked = () => agent.detections.find(({ output_fields }) => output_fields['fd.name'] === file);
  await agent.until('a detection', () => marked() !== undefined);
  const { pid } = trigger(['open', file, '0', '0']);
  await agent.until('a detection of a new process', () => agent.stdout.includes(`by ${pid} `));
  const parent = `${process.pid} ${readFileSync('/proc/self/comm', 'utf8').trim()} ${process.execPath}`;
  assert.match(marked()!.output, new RegExp(`by ${survivor.pid} sh /usr/bin/\\w+ sh -c .*child of ${parent}$`));
  assert.ok(
    agent.stdout.includes(`opened ${file} by ${pid} trigger ${TRIGGER} trigger open ${file} 0 0, child of ${parent}`),
  );
});

test('the doctor finds this machine fit, a line for each check', (t) => {
  const { folder } = markedFile(t);
  const config = configure(folder, { rules: opensOf(SUFFIX) });
  const { status, stdout, stderr } = spawnSync(process.execPath, ['cli/main.ts', 'doctor', '-c', config], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
  const names = [
    'kernel',
    'type information',
    'lockdown',
    'CAP_BPF',
    'CAP_PERFMON',
    'CAP_SYS_PTRACE',
    'CAP_DAC_READ_SEARCH',
    'cgroup',
    'program \\w+',
    'containers',
    'configuration',
    'rings',
    'store',
  ];
  for (const name of names) assert.match(stdout, new RegExp(`^(ok|-) +${name} +\\S`, 'm'));
  assert.doesNotMatch(stdout, /not ok/);
  const programs = probeSelfTest();
  assert.ok(programs.length >= 10);
  assert.deepEqual(
    programs.filter(({ ok }) => !ok),
    [],
  );
  for (const { program } of programs)
    assert.match(
      stdout,
      new RegExp(`^ok +program ${program} +loads; the verifier looked at [\\d,]+ instructions$`, 'm'),
    );
});
