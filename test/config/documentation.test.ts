import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { components as registry } from '../../collector/components.ts';
import { COMPONENT_CLASSES } from '../../collector/config/component.ts';
import type { JsonSchema } from '../../collector/config/expectation.ts';
import { serviceJsonSchema, toJsonSchema } from '../../collector/config/json-schema.ts';
import { parseConfig } from '../../collector/config/load.ts';
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
  const service = undescribed(serviceJsonSchema(registry), 'service');
  assert.deepEqual([...components, ...service], []);
});

test('the example configuration has no mistake and no unused component', () => {
  const file = 'docs/examples/shikra.yaml';
  const { warnings } = parseConfig(readFileSync(file, 'utf8'), file, { registry, environment: {} });
  assert.deepEqual(warnings, []);
});

const PAGES = ['docs/configuration.md', 'docs/routing.md', ...globSync('exporters/*/README.md')];
/** Whatever a page takes out of the environment. */
const environment = new Proxy<Record<string, string>>(
  {},
  { get: (_, name) => VALUES[String(name)] ?? 'https://example.com/x' },
);
const VALUES: Readonly<Record<string, string | undefined>> = {
  ALERTMANAGER_MINIMUMPRIORITY: 'warning',
  SLACK_MINIMUMPRIORITY: 'info',
  OPSGENIE_REGION: 'eu',
  PAGERDUTY_REGION: 'eu',
  OTLP_LOGS_PROTOCOL: 'grpc',
  REDIS_DATABASE: '3',
  SMTP_FROM: 'shikra@example.com',
  SMTP_TO: 'soc@example.com',
  SYSLOG_PORT: '601',
  SYSLOG_PROTOCOL: 'tls',
};

for (const page of PAGES) {
  test(`every configuration shown in ${page} has no mistake`, () => {
    const shown = [...readFileSync(page, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text as string);
    for (const text of shown) parseConfig(text, page, { registry, environment });
    assert.ok(shown.length > 0 || page.startsWith('exporters/'));
  });
}
