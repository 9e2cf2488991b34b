import { z } from 'zod';
import { bytes, duration } from '../../collector/pipeline/units.ts';

/** `service.store`: where detections are kept, and for how long. */
export const storeConfigSchema = z.strictObject({
  path: z
    .string()
    .min(1)
    .default('/var/lib/shikra/shikra.db')
    .describe('The file that every detection is written to before it is sent. Its folder is made if missing.'),
  max_age: duration().prefault('14d').describe('Detections older than this are deleted, once every exporter has them.'),
  max_bytes: bytes()
    .prefault('2GiB')
    .describe(
      'The size that the file may grow to. The oldest detections go first; one that an exporter did not have yet is counted as lost.',
    ),
});

/** `max_age` in milliseconds. */
export interface StoreConfig extends z.infer<typeof storeConfigSchema> {
  /** How many detections may wait in memory while the disk fails. Beyond it the least severe, oldest one is lost and counted. Default 10,000. */
  readonly max_pending?: number;
}
