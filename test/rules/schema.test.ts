import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { load } from 'js-yaml';
import { bundledRulesPath, loadRules, readRuleFiles } from '../../rules/index.ts';
import { rulesJsonSchema } from '../../rules/schema.ts';

type Schema = Record<string, unknown>;

const SCHEMA = rulesJsonSchema() as Schema;
const DEFINITIONS = SCHEMA.$defs as Record<string, { properties: Record<string, Schema> }>;

/** What does not fit, by the part of JSON Schema that rule files need. */
function misfits(value: unknown, schema: Schema, at = ''): string[] {
  const found: string[] = [];
  const has = (key: string) => schema[key] !== undefined;
  if (has('$ref')) found.push(...misfits(value, DEFINITIONS[String(schema.$ref).replace('#/$defs/', '')]!, at));
  if (has('type') && ![schema.type].flat().some((type) => isOf(value, type as string)))
    found.push(`${at}: no ${schema.type}`);
  if (has('enum') && !(schema.enum as unknown[]).includes(value)) found.push(`${at}: not one of ${schema.enum}`);
  if (has('pattern') && typeof value === 'string' && !new RegExp(schema.pattern as string).test(value)) {
    found.push(`${at}: not ${schema.pattern}`);
  }
  if (has('anyOf') && (schema.anyOf as Schema[]).every((branch) => misfits(value, branch).length > 0))
    found.push(`${at}: none`);
  for (const { if: condition, then } of (schema.allOf ?? []) as { if: Schema; then: Schema }[]) {
    if (misfits(value, condition).length === 0) found.push(...misfits(value, then, at));
  }
  if (Array.isArray(value) && has('items')) {
    found.push(...value.flatMap((item, index) => misfits(item, schema.items as Schema, `${at}[${index}]`)));
  }
  if (isOf(value, 'object')) found.push(...objectMisfits(value as Schema, schema, at));
  return found;
}

function objectMisfits(value: Schema, schema: Schema, at: string): string[] {
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const missing = ((schema.required ?? []) as string[]).filter((key) => !Object.hasOwn(value, key));
  return [
    ...missing.map((key) => `${at}: no ${key}`),
    ...Object.entries(value).flatMap(([key, inner]) => {
      if (properties[key] !== undefined) return misfits(inner, properties[key], `${at}.${key}`);
      return schema.additionalProperties === false ? [`${at}: unknown ${key}`] : [];
    }),
  ];
}

function isOf(value: unknown, type: string): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}

describe('the JSON Schema of rule files', () => {
  it('takes the bundled rules', async () => {
    const { files } = await readRuleFiles([bundledRulesPath()]);
    for (const { path, text } of files) assert.deepEqual(misfits(load(text), SCHEMA, path), []);
  });

  it('takes an override, an exception and any case of a priority', () => {
    const text = `
- rule: R
  priority: Warning
  exceptions: [{name: e, fields: [a.b, c.d], comps: [=, in], values: [[x, [y, 1]]]}]
  override: {priority: replace, exceptions: append}
- list: l
  items: [1, a]
`;
    assert.deepEqual(misfits(load(text), SCHEMA), []);
  });

  it('refuses what the loader warns of or refuses', () => {
    const text =
      '- {rule: R, conditon: x, priority: bad, override: {priority: append}}\n- {macro: "1", condition: x}\n- {rul: R}\n';
    assert.deepEqual(misfits(load(text), SCHEMA), [
      '[0]: unknown conditon',
      '[0].priority: none',
      '[0].override.priority: not one of replace',
      '[1].macro: not ^[a-zA-Z]+[a-zA-Z0-9_]*$',
      '[2]: none',
    ]);
  });

  it('knows no key that the loader does not know', () => {
    for (const [kind, { properties }] of Object.entries(DEFINITIONS)) {
      const item = Object.keys(properties).map((key) => `  ${key}: x`);
      const { problems } = loadRules([{ path: 'r', text: `-\n${item.join('\n')}\n` }]);
      const unknown = problems.filter(({ code }) => code === 'LOAD_UNKNOWN_KEY').map(({ message }) => message);
      assert.deepEqual(unknown, [], kind);
    }
  });

  it('overrides what the loader overrides', () => {
    for (const kind of ['rule', 'macro', 'list']) {
      const overrides = (DEFINITIONS[kind]!.properties.override as { properties: Record<string, { enum: string[] }> })
        .properties;
      for (const how of ['append', 'replace']) {
        const { problems } = loadRules([
          { path: 'r', text: `- {${kind}: x, nothing: x, override: {nothing: ${how}}}` },
        ]);
        const allowed = problems.find(({ message }) => message.includes('cannot be overridden'))!.expected!;
        const inSchema = Object.keys(overrides).filter((key) => overrides[key]!.enum.includes(how));
        assert.deepEqual(new Set(inSchema), new Set(allowed.replace('one of ', '').split(' ')), `${kind} ${how}`);
      }
    }
  });
});
