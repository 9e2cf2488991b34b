import { z } from 'zod';
import { bytes } from '../../pipeline/units.ts';
import { guardKeys, listenKeys } from '../http/config.ts';

export const falcoHttpReceiverSchema = z.strictObject({
  ...listenKeys(2801),
  path: z
    .string()
    .regex(/^\/[^?#\s]*$/, 'expected a path such as /')
    .default('/')
    .describe("The path that is posted to: that of Falco's `http_output.url`."),
  max_alert_size: bytes().prefault('1MiB').describe('A larger alert is refused.'),
  ...guardKeys(' as `Authorization: Bearer`. Falco sends none: for it, use `tls.client_ca_file`'),
});

export type FalcoHttpReceiverConfig = z.infer<typeof falcoHttpReceiverSchema>;
