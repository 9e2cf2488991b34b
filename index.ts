/**
 * Shikra as a library: its processors in any OpenTelemetry app, its detections as log records, and what an exporter of one's own is built on.
 */

export type { Detection, FieldValue } from './collector/detection/detection.ts';
export { toFalcoJson } from './collector/detection/falco-json.ts';
export { internalDetection } from './collector/detection/internal.ts';
export { detectionIn, EVENT_NAME, SCOPE_NAME, toLogRecord } from './collector/detection/log-record.ts';
export { PRIORITIES, type Priority } from './collector/detection/priority.ts';
export {
  createPipeline,
  type Pipeline,
  type PipelineConfig,
  type PipelineSettings,
  pipelineConfig,
} from './collector/pipeline/index.ts';
export { createMetrics, type Metrics } from './collector/telemetry/metrics.ts';
export {
  type DeliveringExporter,
  Delivery,
  type Exporter,
  type ExporterContext,
  type ExportOutcome,
  httpOutcome,
  SUCCESS,
} from './exporters/helper/index.ts';
export { PromClientProducer } from './exporters/otlp/prom-producer.ts';
export { Store, type StoreConfig, StoredDetection, StoreProcessor } from './exporters/store/index.ts';
export { DropRateProcessor, type DropRateSettings } from './processors/drop-rate/index.ts';
export { EnrichmentProcessor, type EnrichmentSettings } from './processors/enrichment/index.ts';
export { PriorityProcessor, type PrioritySettings } from './processors/priority/index.ts';
