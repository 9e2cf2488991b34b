export { type Clock, SYSTEM_CLOCK } from './clock.ts';
export { Delivery, type DeliveryDeps } from './delivery.ts';
export type {
  DeliveringExporter,
  Exporter,
  ExporterContext,
  LiveExporter,
  Readiness,
  ServingExporter,
} from './exporter.ts';
export { type ExportOutcome, httpOutcome, parseRetryAfter, SUCCESS } from './outcome.ts';
export {
  batchConfigSchema,
  DELIVERY_DEFAULTS,
  type DeliveryConfig,
  type DeliverySettings,
  deliverySettings,
  retryConfigSchema,
} from './settings.ts';
