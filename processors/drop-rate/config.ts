import { z } from 'zod';
import { duration } from '../../collector/pipeline/units.ts';

export const dropRateConfigSchema = z.strictObject({
  window: duration().prefault('10s').describe('The time over which events and losses are counted together.'),
  threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe(
      'Above this part of lost events in the window, a detection about the agent itself is raised. 0 raises one for any loss, 1 never.',
    ),
  interval: duration().prefault('60s').describe('At most one such detection in this time.'),
});

export type DropRateConfig = z.infer<typeof dropRateConfigSchema>;
