import { z } from 'zod';

export const prometheusConfigSchema = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('The address to listen on. 0.0.0.0 for a Prometheus on another machine.'),
  port: z.int().min(0).max(65535).default(8765).describe('The port to listen on; 0 takes a free one.'),
  falco_compat: z
    .boolean()
    .default(false)
    .describe('Whether /metrics also has the metrics that dashboards made for Falco and Falcosidekick ask for.'),
});

export type PrometheusConfig = z.infer<typeof prometheusConfigSchema>;
