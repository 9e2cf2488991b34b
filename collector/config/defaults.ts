import type { Environment } from './environment.ts';

/**
 * What runs without a configuration file. Each section that a file leaves out is taken from here; a section that it has
 * replaces the one here as a whole. The defaults of the keys inside stand in the schemas.
 */
export const DEFAULTS = {
  receivers: { kernel: {} },
  processors: { drop_rate: {}, enrichment: {}, priority: {} },
  exporters: { stdout: {}, prometheus: {} },
  service: {},
} as const;

/** The sections of {@link DEFAULTS}, and OTLP where the environment names an endpoint in OpenTelemetry's own variables. */
export function defaultDocument(environment: Environment): Record<string, unknown> {
  const { logs, metrics } = otlpSignals(environment);
  if (!logs && !metrics) return { ...DEFAULTS };
  return {
    ...DEFAULTS,
    exporters: { ...DEFAULTS.exporters, otlp: {} },
    service: {
      pipelines: {
        logs: {
          receivers: Object.keys(DEFAULTS.receivers),
          processors: Object.keys(DEFAULTS.processors),
          exporters: logs ? ['stdout', 'otlp'] : ['stdout'],
        },
        metrics: { exporters: metrics ? ['prometheus', 'otlp'] : ['prometheus'] },
      },
    },
  };
}

function otlpSignals(environment: Environment): { logs: boolean; metrics: boolean } {
  // As the OpenTelemetry specification says, an empty variable counts as one that is not set.
  const isSet = (name: string) => (environment[name] ?? '') !== '';
  const both = isSet('OTEL_EXPORTER_OTLP_ENDPOINT');
  return {
    logs: both || isSet('OTEL_EXPORTER_OTLP_LOGS_ENDPOINT'),
    metrics: both || isSet('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'),
  };
}
