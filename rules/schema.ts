import { PRIORITIES } from '../collector/detection/priority.ts';

interface Schema {
  readonly [key: string]: unknown;
}

/** One key of an item of a rule file. */
interface Key {
  readonly schema: Schema;
  readonly description: string;
  /** What `override` may do with it. */
  readonly override?: readonly ('append' | 'replace')[];
}

const TEXT: Schema = { type: 'string' };
const FLAG: Schema = { type: 'boolean' };
const TEXTS: Schema = { type: 'array', items: { type: ['string', 'number', 'boolean'] } };
const DURATION: Schema = { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$' };
const BOTH = ['append', 'replace'] as const;
const REPLACE = ['replace'] as const;

/** Priorities are read whatever their case; editors complete the way they are usually written. */
const PRIORITY: Schema = {
  anyOf: [
    { enum: [...PRIORITIES.map((priority) => priority.toUpperCase()), 'INFO'] },
    { type: 'string', pattern: `^(?:${[...PRIORITIES, 'info'].map(anyCase).join('|')})$` },
  ],
};

const FIELD_OR_FIELDS: Schema = { anyOf: [TEXT, { type: 'array', items: TEXT }] };

const EXCEPTION: Schema = {
  type: 'object',
  properties: {
    name: { ...TEXT, description: 'Unique in the rule; by it values are appended.' },
    fields: { ...FIELD_OR_FIELDS, description: 'A field, or several that are compared together.' },
    comps: {
      ...FIELD_OR_FIELDS,
      description: 'An operator for each field. Default: `in` for one field, `=` for each of several.',
    },
    values: {
      type: 'array',
      items: {
        anyOf: [
          { type: ['string', 'number', 'boolean'] },
          { type: 'array', items: { anyOf: [{ type: ['string', 'number', 'boolean'] }, TEXTS] } },
        ],
      },
      description: 'Values of the one field, or a list of values, one for each field, for each exception.',
    },
  },
  required: ['name'],
  additionalProperties: false,
};

const BY: Schema = {
  anyOf: [TEXT, { type: 'array', items: TEXT, maxItems: 5 }],
  description: 'Fields in whose values events must be equal to belong together. Default: all belong together.',
};

/** Keys of rules over several events, which Falco ignores. */
const SEVERAL_EVENTS: Readonly<Record<string, Key>> = {
  threshold: {
    schema: {
      type: 'object',
      properties: {
        count: { type: 'integer', minimum: 1, maximum: 100_000, description: 'So many events.' },
        window: { ...DURATION, description: 'Within this time: 500ms, 30s, 5m; at most 1d.' },
        by: BY,
      },
      required: ['count', 'window'],
      additionalProperties: false,
    },
    description:
      'The rule fires when so many events fulfil its condition, and then not again for the time of the window.',
    override: REPLACE,
  },
  sequence: {
    schema: {
      type: 'object',
      properties: {
        within: { ...DURATION, description: 'From the first step to the last: 500ms, 30s, 5m; at most 1d.' },
        by: BY,
        steps: {
          type: 'array',
          minItems: 1,
          maxItems: 10,
          items: {
            type: 'object',
            properties: { condition: { ...TEXT, description: 'Which events are this step.' } },
            required: ['condition'],
            additionalProperties: false,
          },
          description: "Steps in order. The rule's own condition comes after them, if it has one.",
        },
      },
      required: ['within', 'steps'],
      additionalProperties: false,
    },
    description: 'The rule fires when an event fulfils its condition after others were the steps before.',
    override: REPLACE,
  },
};

const NAMED = { append: { schema: FLAG, description: 'Deprecated: use `override`.' } } as const;

/** Every key of every kind of item: the one table from which the schema is made. */
const ITEMS: Readonly<Record<string, { readonly description: string; readonly keys: Readonly<Record<string, Key>> }>> =
  {
    rule: {
      description: 'A condition, and what to say when an event fulfils it.',
      keys: {
        rule: { schema: TEXT, description: 'The name; a second rule of the name replaces the first.' },
        desc: { schema: TEXT, description: 'What it means, and what to do when it fires.', override: BOTH },
        condition: { schema: TEXT, description: 'Which events fire the rule.', override: BOTH },
        output: { schema: TEXT, description: 'The text of a detection; `%field` is replaced.', override: BOTH },
        priority: { schema: PRIORITY, description: 'How bad it is.', override: REPLACE },
        source: { schema: { enum: ['syscall', 'k8s_audit'] }, description: 'Whose events. Default: syscall.' },
        enabled: { schema: FLAG, description: 'Default: true.', override: REPLACE },
        tags: { schema: TEXTS, description: 'Words to choose rules by.', override: BOTH },
        exceptions: {
          schema: { type: 'array', items: EXCEPTION },
          description: 'What does not fire the rule although the condition holds.',
          override: BOTH,
        },
        warn_evttypes: {
          schema: FLAG,
          description: 'false: no warning that every event is looked at.',
          override: REPLACE,
        },
        'skip-if-unknown-filter': {
          schema: FLAG,
          description: 'true: the rule is left out, with a warning, if it names an unknown field.',
          override: REPLACE,
        },
        capture: { schema: FLAG, description: 'Read for Falco; nothing is captured.', override: REPLACE },
        capture_duration: {
          schema: { type: 'integer', minimum: 0 },
          description: 'Milliseconds. Read for Falco; nothing is captured.',
          override: REPLACE,
        },
        ...SEVERAL_EVENTS,
        ...NAMED,
      },
    },
    macro: {
      description: 'A part of conditions by name; known to what is defined after it.',
      keys: {
        macro: { schema: { type: 'string', pattern: '^[a-zA-Z]+[a-zA-Z0-9_]*$' }, description: 'The name.' },
        condition: { schema: TEXT, description: 'What the name stands for.', override: BOTH },
        ...NAMED,
      },
    },
    list: {
      description: 'Values by name. The name of another list among them stands for its values.',
      keys: {
        list: { schema: { type: 'string', pattern: '^[^()"\'\\s=,]+$' }, description: 'The name.' },
        items: { schema: TEXTS, description: 'The values.', override: BOTH },
        ...NAMED,
      },
    },
    required_engine_version: {
      description: "Falco's engine version that the file needs.",
      keys: {
        required_engine_version: {
          schema: {
            anyOf: [
              { type: 'integer', minimum: 0 },
              { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+' },
            ],
          },
          description: 'A number N, which is 0.N.0, or x.y.z.',
        },
      },
    },
    required_plugin_versions: {
      description: "Falco's plugins that the file needs; container, k8saudit and json are built in.",
      keys: {
        required_plugin_versions: {
          schema: { type: 'array', items: pluginVersion(true) },
          description: 'Each is satisfied by itself or by one of its alternatives.',
        },
      },
    },
  };

/** The JSON Schema of a rule file, for editors. Narrower than the loader only in that unknown keys are mistakes. */
export function rulesJsonSchema(): Schema {
  const names = Object.keys(ITEMS);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Shikra rules',
    description: "A rule file: Falco's language, and keys for rules over several events.",
    type: ['array', 'null'],
    items: {
      type: ['object', 'null'],
      // One branch for each kind, so that an editor completes only keys of that kind and mistakes are told of one kind only.
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so
      allOf: names.map((name) => ({ if: { required: [name] }, then: { $ref: `#/$defs/${name}` } })),
      anyOf: [{ type: 'null' }, ...names.map((name) => ({ required: [name] }))],
    },
    $defs: Object.fromEntries(names.map((name) => [name, itemSchema(name)])),
  };
}

function itemSchema(name: string): Schema {
  const { description, keys } = ITEMS[name]!;
  const properties: [string, Schema][] = Object.entries(keys).map(([key, { schema, description }]) => [
    key,
    { ...schema, description },
  ]);
  const overridable = Object.entries(keys).filter(([, { override }]) => override !== undefined);
  if (overridable.length > 0) properties.push(['override', overrideSchema(overridable)]);
  return {
    description,
    type: 'object',
    properties: Object.fromEntries(properties),
    required: [name],
    additionalProperties: false,
  };
}

function overrideSchema(keys: readonly (readonly [string, Key])[]): Schema {
  return {
    description: 'Changes an item of the same name that was defined before, key by key.',
    type: 'object',
    properties: Object.fromEntries(keys.map(([key, { override }]) => [key, { enum: override }])),
    additionalProperties: false,
  };
}

function pluginVersion(withAlternatives: boolean): Schema {
  const alternatives = withAlternatives ? { alternatives: { type: 'array', items: pluginVersion(false) } } : {};
  return {
    type: 'object',
    properties: { name: TEXT, version: TEXT, ...alternatives },
    required: ['name', 'version'],
    additionalProperties: false,
  };
}

/** JSON Schema's patterns have no flag for it. */
function anyCase(word: string): string {
  return word.replace(/[a-z]/gi, (letter) => `[${letter.toUpperCase()}${letter.toLowerCase()}]`);
}
