/** Agent -> Collector with its queue on disk -> Loki: what happens to detections when these fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent } from './agent.ts';
import { Collector } from './collector.ts';
import { Loki } from './loki.ts';
import { MarkedFiles } from './marked-files.ts';
import { stackFolder, until, without } from './program.ts';

const EXPORTER = 'otlp';

test('Loki down, the Collector killed meanwhile: every detection arrives', {
  skip: without('collector', 'loki'),
}, async (t) => {
  const folder = stackFolder();
  const loki = await Loki.start(t, folder);
  const collector = await Collector.start(t, folder, loki.address);
  const marked = new MarkedFiles(folder);
  const agent = await Agent.start(t, folder, {
    kernel: marked.kernel,
    exporters: { otlp: { endpoint: collector.url, retry: { initial_interval: '100ms', max_interval: '500ms' } } },
  });
  const detect = (count: number) => marked.detect(agent, count);
  const taken = (count: number) =>
    until(`the Collector to have ${count}`, async () => (await agent.delivered(EXPORTER)) >= count);
  const uidsInLoki = async () =>
    (await loki.lines('{service_name="shikra"} | security_rule_name=~"Rule .*"')).map(
      ({ labels }) => labels.log_record_uid as string,
    );
  const inLoki = (count: number) =>
    until(`${count} detections in Loki`, async () => new Set(await uidsInLoki()).size >= count);

  await detect(20);
  await inLoki(20);
  await loki.stop();
  await detect(200);
  // The Collector has acknowledged them: they are its own now, and only on its disk once it is killed.
  await taken(220);
  await collector.kill();
  await detect(50);
  await collector.start();
  await taken(270);
  await collector.kill();
  await loki.start();
  await collector.start();
  await detect(30);
  await inLoki(300);

  const found = await uidsInLoki();
  assert.deepEqual(
    [...new Set(found)].sort(),
    marked
      .detections(agent)
      .map(({ uuid }) => uuid)
      .sort(),
  );
  // Loki was away whenever the Collector was killed: no request was under way that would come again.
  assert.equal(found.length, 300);
});
