import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { Exporter, ExporterContext, Readiness } from '../../exporters/helper/exporter.ts';
import type { StoreConfig } from '../../exporters/store/config.ts';
import type { Component, Signal } from '../config/component.ts';
import type { Config } from '../config/config.ts';
import type { Detection } from '../detection/detection.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export type { Exporter, ExporterContext, Readiness };

/** What every processor is handed when it is made, beside its configuration and `next`. */
export interface ProcessorContext {
  /** As in the configuration: `priority`, or `priority/name`. */
  readonly id: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Events that arrived and that were lost, since start. */
  readonly losses: () => { readonly events: number; readonly dropped: number };
  /** Sends a detection about the agent itself through the whole pipeline. May be called from anywhere. */
  readonly raise: (detection: Detection) => void;
}

/** How a processor or an exporter of one type is made out of its checked configuration. */
export interface Factories {
  readonly processors: Readonly<
    Record<string, { create(config: never, context: ProcessorContext, next: LogRecordProcessor): LogRecordProcessor }>
  >;
  readonly exporters: Readonly<Record<string, { create(config: never, context: ExporterContext): Exporter }>>;
}

/** What of the whole configuration the pipeline needs. */
export interface PipelineConfig {
  readonly store: StoreConfig;
  /** In the order in which a detection goes through them. */
  readonly processors: readonly Component[];
  readonly exporters: readonly (Component & { readonly signals: readonly Signal[] })[];
}

/** Picks the pipeline's part out of a loaded configuration. */
export function pipelineConfig(config: Config): PipelineConfig {
  const { logs, metrics } = config.service.pipelines;
  const ids = [...new Set([...logs.exporters, ...metrics.exporters])];
  const signals = (id: string): Signal[] => [
    ...(logs.exporters.includes(id) ? ['logs' as const] : []),
    ...(metrics.exporters.includes(id) ? ['metrics' as const] : []),
  ];
  return {
    store: config.service.store,
    processors: logs.processors.map((id) => config.processors[id]!),
    exporters: ids.map((id) => ({ ...config.exporters[id]!, signals: signals(id) })),
  };
}
