import { z } from 'zod';

/** `service.store`: where detections are kept, and for how long. */
export const storeConfigSchema = z.strictObject({
  path: z
    .string()
    .min(1)
    .default('/var/lib/shikra/shikra.db')
    .describe('The file that every detection is written to before it is sent. Its folder is made if missing.'),
  max_age_days: z
    .number()
    .positive()
    .default(14)
    .describe('Detections older than this are deleted, once every exporter has them.'),
  max_size_mib: z
    .number()
    .positive()
    .default(1024)
    .describe(
      'The size that the file may grow to. The oldest detections go first; one that an exporter did not have yet is counted as lost.',
    ),
});

export interface StoreConfig extends z.infer<typeof storeConfigSchema> {
  /** How many detections may wait in memory while the disk fails. Beyond it the least severe, oldest one is lost and counted. Default 10,000. */
  readonly max_pending?: number;
}
