import assert from 'node:assert/strict';
import { it } from 'node:test';
import { logs } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, InMemoryLogRecordExporter } from '@opentelemetry/sdk-logs';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { DropRateProcessor, EnrichmentProcessor, PriorityProcessor } from '../../index.ts';

it('works in an OpenTelemetry app that has nothing else of Shikra', async () => {
  const exporter = new InMemoryLogRecordExporter();
  const batch = new BatchLogRecordProcessor({ exporter });
  const priority = new PriorityProcessor({ minimum: 'Notice' }, batch);
  const enrichment = new EnrichmentProcessor({}, priority);
  const first = new DropRateProcessor({ source: () => ({ events: 90, dropped: 10 }) }, enrichment);
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({ 'service.name': 'shop' }),
    autoDetectResources: false,
    spanProcessors: [],
    metricReaders: [],
    logRecordProcessors: [first],
  });
  sdk.start();
  const logger = logs.getLogger('checkout');
  logger.emit({
    body: 'paid',
    severityNumber: 13,
    attributes: { 'process.user.id': 0, 'process.linux.cgroup': `/docker/${'ab'.repeat(32)}` },
  });
  logger.emit({ body: 'chatter', severityNumber: 5 });
  logger.emit({ body: 'alarm', severityNumber: 9, attributes: { 'shikra.priority': 'critical' } });
  await batch.forceFlush();
  const records = exporter.getFinishedLogRecords();
  assert.deepEqual(
    records.map(({ body, severityNumber, severityText }) => [body, severityNumber, severityText]),
    [
      ['paid', 13, undefined],
      ['alarm', 18, 'ERROR'],
    ],
  );
  const [paid] = records;
  assert.equal(paid?.attributes['container.id'], 'ab'.repeat(32));
  assert.equal(paid?.attributes['container.runtime.name'], 'docker');
  assert.equal(paid?.attributes['process.user.name'], undefined, 'a container has users of its own');
  assert.equal(paid?.attributes['shikra.events.dropped'], 10);
  assert.equal(paid?.attributes['shikra.events.drop_ratio'], 0.1);
  assert.equal(typeof paid?.attributes['host.name'], 'string');
  assert.equal(priority.dropped, 1);
  await sdk.shutdown();
});
