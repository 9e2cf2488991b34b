import { z } from 'zod';
import type { StoreConfig } from '../../exporters/store/config.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const ids = z.array(z.string());

export const pipelinesSchema = z.strictObject({
  logs: z
    .strictObject({
      receivers: ids.min(1).describe('Where detections come from.'),
      processors: ids.default([]).describe('What each detection goes through, in this order.'),
      exporters: ids.min(1).describe('Where detections go. Each exporter gets every one.'),
    })
    .describe('The way of the detections.'),
  metrics: z
    .strictObject({
      exporters: ids.default([]).describe('Where the metrics of Shikra itself go.'),
    })
    .default({ exporters: [] })
    .describe('The way of the metrics.'),
});

/** The `service` section; the store brings its own schema, as components do. */
export function createServiceSchema(storeSchema: z.ZodType) {
  return z.strictObject({
    store: storeSchema.prefault({}).describe('The store on disk that every detection is written to before it is sent.'),
    telemetry: z
      .strictObject({
        logs: z
          .strictObject({
            level: z.enum(LOG_LEVELS).default('info').describe('The least severe line that is written.'),
          })
          .prefault({})
          .describe("Shikra's own log, JSON lines on stderr."),
      })
      .prefault({})
      .describe('What Shikra tells of itself.'),
    pipelines: pipelinesSchema
      .optional()
      .describe(
        'Which components are joined to which. Left out, every component defined is in use, in the order of the file.',
      ),
  });
}

export type Pipelines = z.infer<typeof pipelinesSchema>;
export interface ServiceConfig {
  readonly store: StoreConfig;
  readonly telemetry: { readonly logs: { readonly level: LogLevel } };
  readonly pipelines: Pipelines;
}
