import { z } from 'zod';

const ids = z.array(z.string());

export const pipelinesSchema = z.strictObject({
  logs: z
    .strictObject({
      receivers: ids.min(1).describe('Where detections come from.'),
      processors: ids.default([]).describe('What each detection goes through, in this order.'),
      exporters: ids.min(1).describe('Where detections go. Each exporter gets every one.'),
    })
    .describe('The way of the detections.'),
  metrics: z
    .strictObject({
      exporters: ids.default([]).describe('Where the metrics of Shikra itself go.'),
    })
    .default({ exporters: [] })
    .describe('The way of the metrics.'),
});

export const serviceSchema = z.strictObject({
  store: z
    .strictObject({
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
        .int()
        .min(16)
        .default(1024)
        .describe(
          'The size that the file may grow to. The oldest detections go first; one that an exporter did not have yet is counted as lost.',
        ),
    })
    .prefault({})
    .describe('The store on disk.'),
  telemetry: z
    .strictObject({
      logs: z
        .strictObject({
          level: z
            .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
            .default('info')
            .describe('The least severe line that is written.'),
        })
        .prefault({})
        .describe("Shikra's own log, JSON lines on stderr."),
    })
    .prefault({})
    .describe('What Shikra tells of itself.'),
  pipelines: pipelinesSchema
    .optional()
    .describe(
      'Which components are joined to which. Left out, every component defined is in use, in the order of the file.',
    ),
});

export type Pipelines = z.infer<typeof pipelinesSchema>;
export type ServiceConfig = Omit<z.infer<typeof serviceSchema>, 'pipelines'> & { readonly pipelines: Pipelines };
