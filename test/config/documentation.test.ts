import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { components as registry } from '../../collector/components.ts';
import { COMPONENT_CLASSES } from '../../collector/config/component.ts';
import type { JsonSchema } from '../../collector/config/expectation.ts';
import { toJsonSchema } from '../../collector/config/json-schema.ts';
import { parseConfig } from '../../collector/config/load.ts';
import { createServiceSchema } from '../../collector/config/service.ts';
import { configReference, schemaText } from '../../scripts/documentation.ts';

test('docs/config.schema.json is current', () => {
  assert.equal(readFileSync('docs/config.schema.json', 'utf8'), schemaText(registry), 'run `npm run generate`');
});

test('the reference in docs/configuration.md is current', () => {
  assert.ok(
    readFileSync('docs/configuration.md', 'utf8').includes(configReference(registry)),
    'run `npm run generate`',
  );
});

function undescribed(schema: JsonSchema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const at = `${path}.${key}`;
    return value.properties !== undefined ? undescribed(value, at) : value.description === undefined ? [at] : [];
  });
}

test('every key says what it is', () => {
  const components = COMPONENT_CLASSES.flatMap((componentClass) =>
    Object.entries(registry[componentClass]).flatMap(([type, { configSchema }]) =>
      undescribed(toJsonSchema(configSchema), `${componentClass}.${type}`),
    ),
  );
  const service = undescribed(toJsonSchema(createServiceSchema(registry.storeSchema)), 'service');
  assert.deepEqual([...components, ...service], []);
});

test('the example configuration has no mistake and no unused component', () => {
  const file = 'docs/examples/shikra.yaml';
  const { warnings } = parseConfig(readFileSync(file, 'utf8'), file, { registry, environment: {} });
  assert.deepEqual(warnings, []);
});

test('every configuration shown in docs/configuration.md has no mistake', () => {
  const page = readFileSync('docs/configuration.md', 'utf8');
  const shown = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text as string);
  assert.ok(shown.length > 0);
  for (const text of shown) parseConfig(text, 'docs/configuration.md', { registry, environment: { TOKEN: 't' } });
});
