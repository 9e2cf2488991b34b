import { z } from 'zod';

export const stdoutConfigSchema = z.strictObject({
  format: z
    .enum(['auto', 'text', 'json'])
    .default('auto')
    .describe(
      "Text for people, or one JSON object per line with Falco's alert keys. `auto`: text on a terminal, JSON in a pipe.",
    ),
  color: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('Colours by priority. `auto`: on a terminal, unless NO_COLOR is set.'),
});

export type StdoutConfig = z.infer<typeof stdoutConfigSchema>;
