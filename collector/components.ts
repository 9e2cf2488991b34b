import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { createOtlpExporter, type OtlpConfig, otlpConfigSchema } from '../exporters/otlp/index.ts';
import {
  createPrometheusExporter,
  type PrometheusConfig,
  prometheusConfigSchema,
} from '../exporters/prometheus/index.ts';
import { createStdoutExporter, type StdoutConfig, stdoutConfigSchema } from '../exporters/stdout/index.ts';
import { storeConfigSchema } from '../exporters/store/config.ts';
import {
  DROP_RATE_DROP_REASONS,
  type DropRateConfig,
  DropRateProcessor,
  dropRateConfigSchema,
} from '../processors/drop-rate/index.ts';
import {
  ENRICHMENT_DROP_REASONS,
  type EnrichmentConfig,
  EnrichmentProcessor,
  enrichmentConfigSchema,
} from '../processors/enrichment/index.ts';
import {
  PRIORITY_DROP_REASONS,
  type PriorityConfig,
  PriorityProcessor,
  priorityConfigSchema,
} from '../processors/priority/index.ts';
import type { ComponentRegistry } from './config/component.ts';
import { receivers } from './config/receivers.ts';
import { INTERNAL_RULES, internalDetection } from './detection/internal.ts';
import type { ExporterContext, Factories, ProcessorContext } from './pipeline/contracts.ts';

/** Everything that a configuration may name: the one list of what exists. A new processor or exporter is a folder of its own and an entry here. */
export const components = {
  receivers,
  storeSchema: storeConfigSchema,
  processors: {
    drop_rate: {
      configSchema: dropRateConfigSchema,
      create({ window, interval, threshold }: DropRateConfig, context: ProcessorContext, next: LogRecordProcessor) {
        const onDrop = countDrops(context, DROP_RATE_DROP_REASONS);
        const onLoss = (loss: { dropped: number; ratio: number; windowMillis: number }) =>
          context.raise(eventsDropped(loss));
        return new DropRateProcessor(
          { windowMillis: window, intervalMillis: interval, threshold, source: context.losses, onLoss, onDrop },
          next,
        );
      },
    },
    enrichment: {
      configSchema: enrichmentConfigSchema,
      create(config: EnrichmentConfig, context: ProcessorContext, next: LogRecordProcessor) {
        return new EnrichmentProcessor({ ...config, onDrop: countDrops(context, ENRICHMENT_DROP_REASONS) }, next);
      },
    },
    priority: {
      configSchema: priorityConfigSchema,
      create(config: PriorityConfig, context: ProcessorContext, next: LogRecordProcessor) {
        return new PriorityProcessor({ ...config, onDrop: countDrops(context, PRIORITY_DROP_REASONS) }, next);
      },
    },
  },
  exporters: {
    stdout: {
      configSchema: stdoutConfigSchema,
      signals: ['logs'],
      create: (config: StdoutConfig, context: ExporterContext) => createStdoutExporter(config, context),
    },
    otlp: {
      configSchema: otlpConfigSchema,
      signals: ['logs', 'metrics'],
      create: (config: OtlpConfig, context: ExporterContext) => createOtlpExporter(config, context),
    },
    prometheus: {
      configSchema: prometheusConfigSchema,
      signals: ['metrics'],
      create: (config: PrometheusConfig, context: ExporterContext) => createPrometheusExporter(config, context),
    },
  },
} as const satisfies ComponentRegistry & Factories;

function countDrops<Reason extends string>(
  { id, metrics }: ProcessorContext,
  reasons: readonly Reason[],
): (reason: Reason) => void {
  metrics.declareProcessor(id, reasons);
  return (reason) => metrics.processorDropped.inc({ processor: id, reason });
}

function eventsDropped({ dropped, ratio, windowMillis }: { dropped: number; ratio: number; windowMillis: number }) {
  const seconds = windowMillis / 1000;
  const percent = (ratio * 100).toFixed(ratio < 0.01 ? 3 : 1);
  const output = `${dropped} events (${percent} %) were lost in the last ${seconds} s; detections may be missing`;
  return internalDetection(INTERNAL_RULES.eventsDropped, 'Warning', output, {
    'shikra.events.dropped': dropped,
    'shikra.events.drop_ratio': ratio,
  });
}
