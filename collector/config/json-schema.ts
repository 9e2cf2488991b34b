import { z } from 'zod';
import { COMPONENT_CLASSES, type ComponentClass, type ComponentRegistry } from './component.ts';
import type { JsonSchema } from './expectation.ts';
import { createServiceSchema, PIPELINE_SCHEMAS, PIPELINES_DESCRIPTION } from './service.ts';

const DESCRIPTIONS: Readonly<Record<ComponentClass, string>> = {
  receivers: 'Where detections come from, by id: `type` or `type/name`.',
  processors: 'What detections go through, by id: `type` or `type/name`.',
  exporters: 'Where detections and metrics go, by id: `type` or `type/name`.',
};

/** One schema as JSON Schema, of what users write. */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest as JsonSchema;
}

/** The JSON Schema of a configuration file, for editors. A heading with nothing under it is allowed, as in the loader. */
export function configJsonSchema(registry: ComponentRegistry): object {
  const sections = COMPONENT_CLASSES.map((componentClass) => [componentClass, section(componentClass, registry)]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Shikra configuration',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the user writes it so
    description: 'Scalars may hold `${env:NAME}` or `${env:NAME:-default}`; `$$` is one dollar.',
    type: 'object',
    properties: {
      ...Object.fromEntries(sections),
      service: orNothing(serviceJsonSchema(registry)),
    },
    additionalProperties: false,
  };
}

/** The schema of `service`; pipelines by their id. */
export function serviceJsonSchema(registry: ComponentRegistry): JsonSchema {
  const schema = toJsonSchema(createServiceSchema(registry.storeSchema));
  const pipelines: JsonSchema = {
    description: PIPELINES_DESCRIPTION,
    type: 'object',
    patternProperties: Object.fromEntries(
      Object.entries(PIPELINE_SCHEMAS).map(([signal, each]) => [`^${signal}(/[^\\s/]+)?$`, toJsonSchema(each)]),
    ),
    additionalProperties: false,
  };
  return { ...schema, properties: { ...schema.properties, pipelines } };
}

function section(componentClass: ComponentClass, registry: ComponentRegistry): object {
  const kinds = Object.entries(registry[componentClass]);
  return {
    description: DESCRIPTIONS[componentClass],
    type: ['object', 'null'],
    patternProperties: Object.fromEntries(
      kinds.map(([type, { configSchema }]) => [`^${type}(/[^\\s/]+)?$`, orNothing(toJsonSchema(configSchema))]),
    ),
    additionalProperties: false,
  };
}

function orNothing(schema: JsonSchema): object {
  return { anyOf: [schema, { type: 'null' }] };
}
