import type { Config } from '../collector/config/config.ts';
import { formatProblem } from '../collector/config/problem.ts';
import { logsPipelines, metricsExporters } from '../collector/config/service.ts';
import { describeFilter, type FilterConfig } from '../collector/pipeline/filter.ts';
import { readConfig } from './read-config.ts';

/** `shikra run --dry-run`: the graph that the configuration makes. Nothing is opened, sent or attached. */
export function dryRun(file: string | undefined): void {
  const { config, warnings } = readConfig(file);
  for (const warning of warnings) console.error(`shikra: warning: ${formatProblem(warning)}`);
  process.stdout.write(graph(config));
}

/** Every pipeline with its parts in the order in which a detection meets them, and what each exporter lets pass. */
export function graph(config: Config): string {
  const { pipelines, store } = config.service;
  const logs = logsPipelines(pipelines).map(([id, { receivers, processors, exporters }]) => [
    id,
    row('receivers', [receivers.join(', ')]),
    row('processors', [processors.length === 0 ? 'none' : processors.join(' -> ')]),
    row('store', [store.path]),
    row('exporters', withFilters(config, exporters)),
  ]);
  const metrics = metricsExporters(pipelines);
  const all = metrics.length === 0 ? logs : [...logs, ['metrics', row('exporters', metrics)]];
  return `${all.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const NAME_WIDTH = 12;

function row(name: string, lines: readonly string[]): string {
  return lines.map((line, index) => `  ${(index === 0 ? name : '').padEnd(NAME_WIDTH)}${line}`).join('\n');
}

function withFilters({ exporters }: Config, ids: readonly string[]): string[] {
  const width = Math.max(...ids.map((id) => id.length));
  return ids.map((id) => {
    const { filter } = exporters[id]!.config as { filter?: FilterConfig };
    return `${id.padEnd(width)}  ${filter === undefined ? '' : describeFilter(filter)}`.trimEnd();
  });
}
