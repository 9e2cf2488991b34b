import type { Resource } from '@opentelemetry/resources';
import type { Clock } from '../../exporters/helper/clock.ts';
import type { Readiness } from '../../exporters/helper/exporter.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Factories, PipelineConfig } from './contracts.ts';

/** What a pipeline is made from. */
export interface PipelineSettings {
  readonly config: PipelineConfig;
  readonly factories: Factories;
  readonly resource: Resource;
  readonly version: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** What else must be ready (the collector thread) for `/readyz`. */
  readonly alsoReady?: () => Readiness;
  readonly clock?: Clock;
}
