import { z } from 'zod';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import { bytes } from '../../collector/pipeline/units.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { SUCCESS } from '../helper/outcome.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { RotatingFile } from './rotating-file.ts';

export const fileConfigSchema = z.strictObject({
  path: z.string().startsWith('/', 'expected an absolute path').describe('The file. Its folder is made if missing.'),
  max_bytes: bytes()
    .prefault('100MiB')
    .describe('When the file would grow beyond this it becomes `path.1`, the one before `path.2`, and so on.'),
  max_files: z.int().min(1).max(1000).default(5).describe('So many files are kept, the one in use included.'),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'expected permissions such as "0640"')
    .default('0640')
    .describe('Permissions of the files.'),
  ...batchedDeliveryKeys(1000, 10_000),
});

export type FileConfig = z.infer<typeof fileConfigSchema>;

export const component = { configSchema: fileConfigSchema, signals: ['logs'], create: createFileExporter } as const;

/** Detections as lines of JSON in a file, as Falco's `file_output` has them. Delivered is what the disk has. */
export function createFileExporter(config: FileConfig, _context: ExporterContext): DeliveringExporter {
  const settings = {
    path: config.path,
    maxBytes: config.max_bytes,
    maxFiles: config.max_files,
    mode: Number.parseInt(config.mode, 8),
  };
  let file: RotatingFile | undefined;
  return {
    kind: 'delivering',
    delivery: deliverySettings(config),
    async start() {
      file ??= new RotatingFile(settings);
    },
    async export(batch) {
      if (file === undefined) return { status: 'retryable', reason: 'the exporter is not started' };
      try {
        file.append(batch.map(({ detection }) => `${toFalcoJson(detection)}\n`));
        return SUCCESS;
      } catch (error) {
        // What was written of the batch comes again: a full disk, a folder that is gone.
        file.close();
        return { status: 'retryable', reason: (error as Error).message };
      }
    },
    async shutdown() {
      file?.close();
      file = undefined;
    },
  };
}
