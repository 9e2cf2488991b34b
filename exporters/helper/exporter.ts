import type { Resource } from '@opentelemetry/resources';
import type { Signal } from '../../collector/config/component.ts';
import type { Logger } from '../../collector/telemetry/logger.ts';
import type { Metrics } from '../../collector/telemetry/metrics.ts';
import type { IncidentLog } from '../store/incidents.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import type { ExportOutcome } from './outcome.ts';
import type { DeliverySettings } from './settings.ts';

/** Whether the agent does its work, and each part of it. */
export interface Readiness {
  readonly ready: boolean;
  readonly parts: Readonly<Record<string, string>>;
}

/** What every exporter is handed when it is made. */
export interface ExporterContext {
  /** As in the configuration: `otlp`, or `otlp/name`. */
  readonly id: string;
  /** The pipelines that it stands in. */
  readonly signals: readonly Signal[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Attributes of the agent's OpenTelemetry resource. */
  readonly resource: Resource;
  /** Is the agent ready? For exporters that serve `/readyz`. */
  readonly ready: () => Readiness;
  /** What it has opened at its receiver, from before the start too. */
  readonly incidents: IncidentLog;
}

interface Lifecycle {
  /** Once, before anything else; calling it again does nothing. May reject with a ShikraError: the agent then refuses to start. */
  start(): Promise<void>;
  /** Gives everything back. Calling it twice is fine; nothing is exported after it. */
  shutdown(): Promise<void>;
}

/**
 * Sends detections to somewhere. The helper owns cursor, batching, retries, time limits and dead letters; the exporter only sends one batch and says
 * how that ended. One call at a time. `signal` aborts when the time limit is reached or the agent stops.
 */
export interface DeliveringExporter extends Lifecycle {
  readonly kind: 'delivering';
  readonly delivery?: Partial<DeliverySettings>;
  export(batch: readonly StoredDetection[], signal: AbortSignal): Promise<ExportOutcome>;
}

/** Shows detections as they are stored, from now on; has no cursor, no backlog and no retry (the terminal). */
export interface LiveExporter extends Lifecycle {
  readonly kind: 'live';
  show(batch: readonly StoredDetection[]): void;
}

/** Does not take detections: serves or sends metrics. */
export interface ServingExporter extends Lifecycle {
  readonly kind: 'serving';
}

export type Exporter = DeliveringExporter | LiveExporter | ServingExporter;
