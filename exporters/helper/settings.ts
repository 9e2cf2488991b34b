import { z } from 'zod';
import { duration } from '../../collector/pipeline/units.ts';

export interface DeliverySettings {
  readonly batchCount: number;
  readonly batchBytes: number;
  readonly timeoutMillis: number;
  readonly initialBackoffMillis: number;
  readonly maxBackoffMillis: number;
}

/** 3 MiB stays below gRPC's 4 MiB and leaves room for what the stored form does not count. */
export const DELIVERY_DEFAULTS: DeliverySettings = {
  batchCount: 512,
  batchBytes: 3 * 1024 * 1024,
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
export const batchConfigSchema = z
  .strictObject({
    max_records: z.int().min(1).max(10_000).default(512).describe('At most so many detections in one request.'),
  })
  .prefault({});

export interface DeliveryConfig {
  readonly retry: z.infer<typeof retryConfigSchema>;
  readonly batch: z.infer<typeof batchConfigSchema>;
  readonly timeout: number;
}

/** From the user's keys to the helper's settings. */
export function deliverySettings(config: DeliveryConfig): Partial<DeliverySettings> {
  return {
    batchCount: config.batch.max_records,
    timeoutMillis: config.timeout,
    initialBackoffMillis: config.retry.initial_interval,
    maxBackoffMillis: config.retry.max_interval,
  };
}
