import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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

/** The folders of exporters whose code a process has loaded when its configuration is checked. */
function loadedExporters(text: string): string[] {
  const script = `
    import { registerHooks } from 'node:module';
    const folders = new Set();
    registerHooks({ load(url, context, next) {
      const folder = /\\/exporters\\/([^/]+)\\//.exec(url)?.[1];
      if (folder !== undefined && !url.includes('node_modules')) folders.add(folder);
      if (url.includes('/rules/language/')) folders.add('rules/language');
      return next(url, context);
    } });
    const { components } = await import('./collector/components.ts');
    const { parseConfig } = await import('./collector/config/load.ts');
    parseConfig(${JSON.stringify(text)}, 'x.yaml', { registry: components, environment: {} });
    console.log(JSON.stringify([...folders].sort()));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return JSON.parse(stdout) as string[];
}

it('loads the code of the exporters that a configuration names, and the language of rules for conditions only', () => {
  assert.deepEqual(loadedExporters(''), ['prometheus', 'stdout', 'store']);
  assert.deepEqual(loadedExporters('exporters: { discord: { webhook_url: "https://x" } }'), [
    'discord',
    'helper',
    'store',
  ]);
  const filtered = 'exporters: { stdout: { filter: { condition: proc.name = sh } } }';
  assert.deepEqual(loadedExporters(filtered), ['rules/language', 'stdout', 'store']);
});
