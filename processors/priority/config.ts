import { z } from 'zod';
import { PRIORITIES, parsePriority } from '../../collector/detection/priority.ts';

const priority = z
  .string()
  .refine((text) => parsePriority(text) !== undefined, `expected one of ${PRIORITIES.join(', ')}`)
  .transform((text) => parsePriority(text)!);

export const priorityConfigSchema = z.strictObject({
  minimum: priority.prefault('Debug').describe('Less severe detections are dropped, and counted.'),
  severity_text: z
    .enum(['canonical', 'source'])
    .default('canonical')
    .describe(
      "The record's severity text: one of FATAL, ERROR, WARN, INFO, DEBUG, which back ends know (canonical), or the priority as it is (source).",
    ),
  overrides: z
    .array(
      z
        .strictObject({
          rule: z.string().optional().describe("A rule's name, whole."),
          tag: z.string().optional().describe('A tag that the rule has.'),
          priority: priority.describe('The priority that its detections get.'),
        })
        .refine(
          (override) => (override.rule === undefined) !== (override.tag === undefined),
          'expected either rule or tag',
        ),
    )
    .default([])
    .describe('Other priorities for single rules or tags. The first that fits counts; `minimum` is asked after it.'),
});

export type PriorityConfig = z.infer<typeof priorityConfigSchema>;
