import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { z } from 'zod';
import { storeConfigSchema } from '../exporters/store/config.ts';
import {
  DROP_RATE_DROP_REASONS,
  type DropRateConfig,
  DropRateProcessor,
  dropRateConfigSchema,
} from '../processors/drop-rate/index.ts';
import {
  ENRICHMENT_DROP_REASONS,
  type EnrichmentConfig,
  EnrichmentProcessor,
  enrichmentConfigSchema,
} from '../processors/enrichment/index.ts';
import {
  PRIORITY_DROP_REASONS,
  type PriorityConfig,
  PriorityProcessor,
  priorityConfigSchema,
} from '../processors/priority/index.ts';
import type { ComponentRegistry, Signal } from './config/component.ts';
import { receivers } from './config/receivers.ts';
import { INTERNAL_RULES, internalDetection } from './detection/internal.ts';
import { loadModule } from './lazy.ts';
import type { Exporter, ExporterContext, Factories, ProcessorContext } from './pipeline/contracts.ts';
import { FILTER_DESCRIPTION, filterSchema } from './pipeline/filter.ts';

/** Everything that a configuration may name: the one list of what exists. A new processor or exporter is a folder of its own and an entry here. */
export const components = {
  receivers,
  storeSchema: storeConfigSchema,
  processors: {
    drop_rate: {
      configSchema: dropRateConfigSchema,
      create({ window, interval, threshold }: DropRateConfig, context: ProcessorContext, next: LogRecordProcessor) {
        const onDrop = countDrops(context, DROP_RATE_DROP_REASONS);
        const onLoss = (loss: { dropped: number; ratio: number; windowMillis: number }) =>
          context.raise(eventsDropped(loss));
        return new DropRateProcessor(
          { windowMillis: window, intervalMillis: interval, threshold, source: context.losses, onLoss, onDrop },
          next,
        );
      },
    },
    enrichment: {
      configSchema: enrichmentConfigSchema,
      create(config: EnrichmentConfig, context: ProcessorContext, next: LogRecordProcessor) {
        return new EnrichmentProcessor({ ...config, onDrop: countDrops(context, ENRICHMENT_DROP_REASONS) }, next);
      },
    },
    priority: {
      configSchema: priorityConfigSchema,
      create(config: PriorityConfig, context: ProcessorContext, next: LogRecordProcessor) {
        return new PriorityProcessor({ ...config, onDrop: countDrops(context, PRIORITY_DROP_REASONS) }, next);
      },
    },
  },
  exporters: {
    stdout: exporter<typeof import('../exporters/stdout/index.ts').component>('stdout'),
    otlp: exporter<typeof import('../exporters/otlp/index.ts').component>('otlp'),
    prometheus: exporter<typeof import('../exporters/prometheus/index.ts').component>('prometheus'),
    loki: exporter<typeof import('../exporters/loki/index.ts').component>('loki'),
    alertmanager: exporter<typeof import('../exporters/alertmanager/index.ts').component>('alertmanager'),
    slack: exporter<typeof import('../exporters/slack/index.ts').component>('slack'),
    pagerduty: exporter<typeof import('../exporters/pagerduty/index.ts').component>('pagerduty'),
    opsgenie: exporter<typeof import('../exporters/opsgenie/index.ts').component>('opsgenie'),
    teams: exporter<typeof import('../exporters/teams/index.ts').component>('teams'),
    discord: exporter<typeof import('../exporters/discord/index.ts').component>('discord'),
    webhook: exporter<typeof import('../exporters/webhook/index.ts').component>('webhook'),
    falcosidekick: exporter<typeof import('../exporters/falcosidekick/index.ts').component>('falcosidekick'),
    elasticsearch: exporter<typeof import('../exporters/elasticsearch/index.ts').component>('elasticsearch'),
    file: exporter<typeof import('../exporters/file/index.ts').component>('file'),
    syslog: exporter<typeof import('../exporters/syslog/index.ts').component>('syslog'),
    redis: exporter<typeof import('../exporters/redis/index.ts').component>('redis'),
    smtp: exporter<typeof import('../exporters/smtp/index.ts').component>('smtp'),
  },
} as const satisfies ComponentRegistry & Factories;

interface ExporterComponent {
  readonly configSchema: z.ZodObject;
  readonly signals: readonly Signal[];
  create(config: never, context: ExporterContext): Exporter;
}

/** An exporter whose code is loaded when a configuration first names its type. Those that take detections have a filter. */
function exporter<C extends ExporterComponent>(type: string): C {
  let loaded: C | undefined;
  const load = (): C => {
    if (loaded === undefined) {
      const { component } = loadModule<{ component: C }>(`../exporters/${type}/index`, import.meta.url);
      const configSchema = component.signals.includes('logs')
        ? component.configSchema.safeExtend({ filter: filterSchema.describe(FILTER_DESCRIPTION) })
        : component.configSchema;
      loaded = { ...component, configSchema };
    }
    return loaded;
  };
  const lazy: ExporterComponent = {
    get configSchema() {
      return load().configSchema;
    },
    get signals() {
      return load().signals;
    },
    create: (config, context) => load().create(config, context),
  };
  return lazy as C;
}

function countDrops<Reason extends string>(
  { id, metrics }: ProcessorContext,
  reasons: readonly Reason[],
): (reason: Reason) => void {
  metrics.declareProcessor(id, reasons);
  return (reason) => metrics.processorDropped.inc({ processor: id, reason });
}

function eventsDropped({ dropped, ratio, windowMillis }: { dropped: number; ratio: number; windowMillis: number }) {
  const seconds = windowMillis / 1000;
  const percent = (ratio * 100).toFixed(ratio < 0.01 ? 3 : 1);
  const output = `${dropped} events (${percent} %) were lost in the last ${seconds} s; detections may be missing`;
  return internalDetection(INTERNAL_RULES.eventsDropped, 'Warning', output, {
    'shikra.events.dropped': dropped,
    'shikra.events.drop_ratio': ratio,
  });
}
