import { z } from 'zod';
import type { ComponentRegistry } from '../../collector/config/component.ts';
import { receivers } from '../../collector/config/receivers.ts';

const nothing = z.strictObject({});

/** A small registry, so that these tests say everything they depend on. */
export const registry: ComponentRegistry = {
  receivers,
  storeSchema: z.strictObject({ path: z.string().default('/var/lib/shikra/shikra.db') }),
  processors: {
    drop_rate: { configSchema: nothing },
    enrichment: { configSchema: nothing },
    priority: { configSchema: z.strictObject({ minimum: z.enum(['Critical', 'Debug']).default('Debug') }) },
  },
  exporters: {
    stdout: { configSchema: z.strictObject({ format: z.enum(['auto', 'text', 'json']).default('auto') }) },
    prometheus: { configSchema: nothing, signals: ['metrics'] },
    otlp: {
      signals: ['logs', 'metrics'],
      configSchema: z.strictObject({
        endpoint: z.url().optional(),
        queue_size: z.int().positive().default(100),
        timeout: z
          .string()
          .regex(/^\d+s$/, 'expected a duration like `5s`')
          .default('10s'),
        headers: z.record(z.string(), z.string()).default({}),
        tls: z.union([z.literal(false), z.strictObject({ ca_file: z.string() })]).default(false),
      }),
    },
  },
};
