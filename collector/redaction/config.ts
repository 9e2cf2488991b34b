import { z } from 'zod';

const pattern = z
  .string()
  .min(1)
  .refine((text) => {
    try {
      return new RegExp(text).source !== '';
    } catch {
      return false;
    }
  }, 'expected a regular expression of JavaScript');

export const redactionConfigSchema = z.strictObject({
  command_lines: z
    .boolean()
    .default(true)
    .describe(
      'Whether secrets in command lines are hidden before a detection is stored: values of options and variables whose names say so, passwords in URLs and for known programs, tokens of known shape. Rules see the command line as it is.',
    ),
  patterns: z
    .array(pattern)
    .default([])
    .describe(
      'More that is hidden there: regular expressions. What a group named `secret` matches is hidden, without such a group all that the expression matches.',
    ),
});

export type RedactionConfig = z.infer<typeof redactionConfigSchema>;
