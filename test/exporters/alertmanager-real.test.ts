import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { builtTool } from '../../scripts/tools.ts';
import { detection } from '../fixtures/detections.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { HttpReceiver } from '../fixtures/http-receiver.ts';
import { startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const alertmanager = builtTool('alertmanager');

interface Served {
  readonly url: string;
  /** Kills it and starts it where it was, with what it has on disk. */
  restart(): Promise<void>;
}

/** The real one, which tells a webhook of every alert by itself. */
async function serve(test: TestContext, program: string, webhook: string): Promise<Served> {
  const folder = temporaryFolder(test);
  const config = join(folder, 'alertmanager.yml');
  writeFileSync(
    config,
    `route: { receiver: hook, group_by: ['...'], group_wait: 100ms, group_interval: 200ms }
receivers: [{ name: hook, webhook_configs: [{ url: '${webhook}', send_resolved: true }] }]
`,
  );
  const port = await freePort();
  const parameters = [
    `--config.file=${config}`,
    `--storage.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ];
  let child = await run(program, parameters);
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  test.after(kill);
  return {
    url: `http://127.0.0.1:${port}`,
    async restart() {
      await kill();
      child = await run(program, parameters);
    },
  };
}

/** Until it listens. */
async function run(program: string, parameters: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: child.stderr })) if (/Listening on/i.test(line)) break;
  child.stderr.resume();
  return child;
}

interface Notification {
  readonly status: 'firing' | 'resolved';
  readonly alerts: readonly { readonly labels: Record<string, string>; readonly annotations: Record<string, string> }[];
}

describe('the real Alertmanager', {
  skip: alertmanager ? false : 'node scripts/tools.ts alertmanager builds it',
}, () => {
  it('joins repeats to one alert, tells of it once, and that it is over after a quiet time', async (test) => {
    const hook = await new HttpReceiver().listen(test);
    const { url } = await serve(test, alertmanager!, hook.url);
    const pipeline = await startPipeline({
      store: join(temporaryFolder(test), 's.db'),
      exporters: {
        alertmanager: { urls: [url, 'http://127.0.0.1:1'], resolve_after: '8s', labels: { cluster: 'test' } },
      },
    });
    test.after(() => pipeline.shutdown(0));
    const now = new Date(Date.now() - 60_000).toISOString().replace('Z', '000000Z');
    for (const index of [1, 2, 3]) {
      const evidence = {
        'proc.pid': index,
        'k8s.ns.name': 'shop',
        'k8s.deployment.name': 'api',
        'k8s.pod.name': `api-${index}`,
      };
      pipeline.emit(detection(index, { evidence, time: now }));
    }
    pipeline.emit(detection(4, { rule: 'Other "rule" {}', priority: 'Critical', time: now }));
    const told = () => hook.taken.map(({ request }) => JSON.parse(request.body) as Notification);
    const of = (status: string) => told().filter((one) => one.status === status);
    await hook.until(() => of('firing').length === 2);
    const alerts = (await (await fetch(`${url}/api/v2/alerts`)).json()) as {
      labels: Record<string, string>;
      startsAt: string;
    }[];
    assert.deepEqual(alerts.map(({ labels }) => [labels.alertname, labels.severity, labels.cluster]).sort(), [
      ['Other "rule" {}', 'critical', 'test'],
      ['Read sensitive file untrusted', 'warning', 'test'],
    ]);
    for (const { startsAt } of alerts)
      assert.equal(Date.parse(startsAt), Date.parse(now), 'it began when the event happened');
    await hook.until(() => of('resolved').length === 2);
    assert.equal(of('firing').length, 2, 'each told of once');
    const [first] = of('firing').filter(({ alerts: [alert] }) => alert!.labels.workload === 'api');
    assert.match(first!.alerts[0]!.annotations.description!, /^Sensitive file opened by cat/);
    assert.equal(pipeline.store.deadLetters.count(), 0);
  });

  it('has what is open again after a restart with an empty memory, and is not sent what has ended', async (test) => {
    const hook = await new HttpReceiver().listen(test);
    const { url, restart } = await serve(test, alertmanager!, hook.url);
    const again = { urls: [url], resend_interval: '50ms' };
    const pipeline = await startPipeline({
      store: join(temporaryFolder(test), 's.db'),
      exporters: {
        alertmanager: { ...again, labels: { lasts: 'long' } },
        'alertmanager/short': { ...again, labels: { lasts: 'short' }, resolve_after: '5s' },
      },
    });
    test.after(() => pipeline.shutdown(0));
    const alerts = async () =>
      (await (await fetch(`${url}/api/v2/alerts`)).json()) as {
        labels: Record<string, string>;
        annotations: Record<string, string>;
        startsAt: string;
        endsAt: string;
      }[];
    const told = (status: string, lasts: string) =>
      hook.taken
        .map(({ request }) => JSON.parse(request.body) as Notification)
        .some((one) => one.status === status && one.alerts[0]!.labels.lasts === lasts);
    pipeline.emit(detection(1));
    await hook.until(() => told('firing', 'long') && told('resolved', 'short'));
    const known = (await alerts()).find(({ labels }) => labels.lasts === 'long')!;

    await restart();
    let [alert, ...others] = await alerts();
    while (alert === undefined) [alert, ...others] = await alerts();
    assert.deepEqual(
      [alert.labels, alert.annotations, alert.startsAt, alert.endsAt, others.length],
      [known.labels, known.annotations, known.startsAt, known.endsAt, 0],
    );
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(metrics, /^alertmanager_alerts_received_total\{status="resolved",version="v2"\} 0$/m);
    assert.equal(pipeline.store.deadLetters.count(), 0);
  });
});
