import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { Exporter, ExporterContext, Readiness } from '../../exporters/helper/exporter.ts';
import type { StoreConfig } from '../../exporters/store/config.ts';
import type { Component, Signal } from '../config/component.ts';
import type { Config } from '../config/config.ts';
import { logsPipelines, metricsExporters } from '../config/service.ts';
import type { Detection } from '../detection/detection.ts';
import type { RedactionConfig } from '../redaction/config.ts';
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

/** Processors that a detection goes through before the store. Pipelines that begin alike share one, and its detections are stored once. */
export interface Chain {
  /** The id of the first pipeline that begins so. */
  readonly name: string;
  /** Ids of the receivers whose detections go through it. */
  readonly receivers: readonly string[];
  /** In the order in which a detection goes through them. */
  readonly processors: readonly Component[];
}

export interface ConfiguredExporter extends Component {
  readonly signals: readonly Signal[];
  /** Names of the chains whose detections it gets. */
  readonly chains: readonly string[];
}

/** What of the whole configuration the pipeline needs. */
export interface PipelineConfig {
  readonly store: StoreConfig;
  /** Left out, nothing is hidden. */
  readonly redaction?: RedactionConfig;
  /** At least one. */
  readonly chains: readonly Chain[];
  readonly exporters: readonly ConfiguredExporter[];
}

/** Picks the pipeline's part out of a loaded configuration. */
export function pipelineConfig(config: Config): PipelineConfig {
  const { pipelines } = config.service;
  const chains = new Map<string, Chain>();
  const chainsOf = new Map<string, string[]>();
  for (const [name, { receivers, processors, exporters }] of logsPipelines(pipelines)) {
    const key = JSON.stringify([[...receivers].sort(), processors]);
    const chain = chains.get(key) ?? { name, receivers, processors: processors.map((id) => config.processors[id]!) };
    chains.set(key, chain);
    for (const id of exporters) chainsOf.set(id, [...new Set([...(chainsOf.get(id) ?? []), chain.name])]);
  }
  const takingMetrics = metricsExporters(pipelines);
  const ids = [...new Set([...chainsOf.keys(), ...takingMetrics])];
  return {
    store: config.service.store,
    redaction: config.service.redaction,
    chains: [...chains.values()],
    exporters: ids.map((id) => ({
      ...config.exporters[id]!,
      chains: chainsOf.get(id) ?? [],
      signals: [
        ...(chainsOf.has(id) ? ['logs' as const] : []),
        ...(takingMetrics.includes(id) ? ['metrics' as const] : []),
      ],
    })),
  };
}
