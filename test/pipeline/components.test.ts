import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { components } from '../../collector/components.ts';
import { toJsonSchema } from '../../collector/config/json-schema.ts';
import { defaultConfig } from '../../collector/config/load.ts';
import { pipelineConfig } from '../../collector/pipeline/index.ts';

const FOLDERS = {
  ...Object.fromEntries(
    Object.keys(components.processors).map((type) => [
      `processors/${type.replaceAll('_', '-')}`,
      components.processors[type as 'priority'],
    ]),
  ),
  ...Object.fromEntries(
    Object.keys(components.exporters).map((type) => [
      `exporters/${type.replaceAll('_', '-')}`,
      components.exporters[type as 'stdout'],
    ]),
  ),
};

it('makes a pipeline of the default configuration', () => {
  const { chains, exporters, store } = pipelineConfig(defaultConfig({ registry: components, environment: {} }));
  assert.deepEqual(
    chains.map(({ name, receivers, processors }) => [name, receivers, processors.map(({ id }) => id)]),
    [['logs', ['kernel'], ['drop_rate', 'enrichment', 'priority']]],
  );
  assert.deepEqual(
    exporters.map(({ id, signals }) => [id, signals]),
    [
      ['stdout', ['logs']],
      ['prometheus', ['metrics']],
    ],
  );
  assert.equal(store.max_age, 14 * 86_400_000);
});

it('makes OTLP stand in both pipelines when the environment names an endpoint', () => {
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4317' };
  const { exporters } = pipelineConfig(defaultConfig({ registry: components, environment }));
  assert.deepEqual(exporters.find(({ id }) => id === 'otlp')?.signals, ['logs', 'metrics']);
});

for (const [folder, { configSchema }] of Object.entries(FOLDERS)) {
  it(`${folder} has a page that names every key of its configuration`, () => {
    const page = new URL(`../../${folder}/README.md`, import.meta.url);
    assert.ok(existsSync(page), `${folder}/README.md`);
    const text = readFileSync(page, 'utf8');
    const { properties = {} } = toJsonSchema(configSchema) as { properties?: Record<string, { description?: string }> };
    for (const [key, { description }] of Object.entries(properties)) {
      assert.ok(description, `${key} has a description`);
      assert.ok(text.includes(`\`${key}\``), `${key} is on the page`);
    }
  });
}
