import { z } from 'zod';
import type { StoreConfig } from '../../exporters/store/config.ts';
import { type RedactionConfig, redactionConfigSchema } from '../redaction/config.ts';
import { type Signal, typeOf } from './component.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const ids = z.array(z.string());

export const logsPipelineSchema = z.strictObject({
  receivers: ids.min(1).describe('Where detections come from.'),
  processors: ids.default([]).describe('What each detection goes through, in this order.'),
  exporters: ids.min(1).describe('Where detections go. Each exporter gets every one that its `filter` lets pass.'),
});

export const metricsPipelineSchema = z.strictObject({
  exporters: ids.default([]).describe('Where the metrics of Shikra itself go.'),
});

/** By signal, what a pipeline of it looks like. There may be several of each: `logs`, `logs/audit`. */
export const PIPELINE_SCHEMAS = {
  logs: logsPipelineSchema.describe('A way of detections: `logs`, or `logs/name` where there are several.'),
  metrics: metricsPipelineSchema.describe('A way of metrics: `metrics`, or `metrics/name`.'),
} as const;

export type LogsPipeline = z.infer<typeof logsPipelineSchema>;
export type MetricsPipeline = z.infer<typeof metricsPipelineSchema>;

/** Every pipeline by its id. The two without a name are always there; they are empty where the file does not have them. */
export interface Pipelines {
  readonly logs: LogsPipeline;
  readonly metrics: MetricsPipeline;
  readonly [id: `logs/${string}`]: LogsPipeline;
  readonly [id: `metrics/${string}`]: MetricsPipeline;
}

/** The pipelines of detections that lead somewhere, in the order of the file. */
export function logsPipelines(pipelines: Pipelines): [id: string, pipeline: LogsPipeline][] {
  const all = Object.entries(pipelines).filter(([id]) => signalOf(id) === 'logs') as [string, LogsPipeline][];
  return all.filter(([, { exporters }]) => exporters.length > 0);
}

/** The exporters of all metrics pipelines, each once. */
export function metricsExporters(pipelines: Pipelines): string[] {
  const all = Object.entries(pipelines).filter(([id]) => signalOf(id) === 'metrics') as [string, MetricsPipeline][];
  return [...new Set(all.flatMap(([, { exporters }]) => exporters))];
}

/** `logs/audit` -> `logs`; undefined if it is no id of a pipeline. */
export function signalOf(id: string): Signal | undefined {
  const type = typeOf(id);
  return type === 'logs' || type === 'metrics' ? type : undefined;
}

export const PIPELINES_DESCRIPTION =
  'Which components are joined to which. Left out, every component defined is in use, in the order of the file.';

/** The `service` section without its pipelines; the store brings its own schema, as components do. */
export function createServiceSchema(storeSchema: z.ZodType) {
  return z.strictObject({
    store: storeSchema.prefault({}).describe('The store on disk that every detection is written to before it is sent.'),
    redaction: redactionConfigSchema.prefault({}).describe('What is hidden before anything is stored or sent.'),
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
  });
}

export interface ServiceConfig {
  readonly store: StoreConfig;
  readonly redaction: RedactionConfig;
  readonly telemetry: { readonly logs: { readonly level: LogLevel } };
  readonly pipelines: Pipelines;
}
