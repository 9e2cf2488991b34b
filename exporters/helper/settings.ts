import { z } from 'zod';
import { duration } from '../../collector/pipeline/units.ts';

export interface DeliverySettings {
  readonly batchCount: number;
  readonly batchBytes: number;
  readonly timeoutMillis: number;
  readonly initialBackoffMillis: number;
  readonly maxBackoffMillis: number;
}

/**
 * 1 MiB, as detections are stored: in a burst of long ones the agent holds several times that for each exporter, as objects and as they are sent; requests three
 * times as large bring it no sooner. Far below gRPC's 4 MiB.
 */
export const DELIVERY_DEFAULTS: DeliverySettings = {
  batchCount: 512,
  batchBytes: 1024 * 1024,
  timeoutMillis: 10_000,
  initialBackoffMillis: 500,
  maxBackoffMillis: 30_000,
};

/** `retry` of every delivering exporter: first and longest pause between two tries. There is no last try. */
export const retryConfigSchema = z
  .strictObject({
    initial_interval: duration()
      .prefault('500ms')
      .describe('The pause after the first failure; it doubles with each further one.'),
    max_interval: duration().prefault('30s').describe('The longest pause between two tries.'),
  })
  .prefault({});

/** `batch` of every delivering exporter. */
export const batchConfigSchema = batchSchema(512, 10_000);

function batchSchema(records: number, most: number) {
  return z
    .strictObject({
      max_records: z.int().min(1).max(most).default(records).describe('At most so many detections in one request.'),
    })
    .prefault({});
}

/** Keys of every exporter that has no batches of its own. */
export const deliveryKeys = {
  timeout: duration().prefault('10s').describe('A request that takes longer counts as failed and is sent again.'),
  retry: retryConfigSchema.describe(
    'When a failed request is sent again. There is no last try: the store keeps the detections.',
  ),
};

/** The same, and how many detections are sent at once. */
export function batchedDeliveryKeys(records: number, most: number) {
  return { ...deliveryKeys, batch: batchSchema(records, most).describe('How detections are put together.') };
}

export interface DeliveryConfig {
  readonly retry: z.infer<typeof retryConfigSchema>;
  /** Missing where each detection is a request of its own. */
  readonly batch?: z.infer<typeof batchConfigSchema> | undefined;
  readonly timeout: number;
}

/** From the user's keys to the helper's settings. */
export function deliverySettings(config: DeliveryConfig): Partial<DeliverySettings> {
  return {
    batchCount: config.batch?.max_records ?? 1,
    timeoutMillis: config.timeout,
    initialBackoffMillis: config.retry.initial_interval,
    maxBackoffMillis: config.retry.max_interval,
  };
}
