import { existsSync, readFileSync } from 'node:fs';
import { components as registry } from '../collector/components.ts';
import { metricsPage } from '../collector/telemetry/metric-table.ts';
import { rulesJsonSchema } from '../rules/schema.ts';
import { alertFiles } from './alerts/files.ts';
import { dashboardFiles } from './dashboards/files.ts';
import { configReference, errorTable, formatJson, schemaText, withGenerated } from './documentation.ts';

/** Every file that is made from the code, in whole or in part, as it should be now: path and text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const page = (file: string, generated: string) => withGenerated(readFileSync(file, 'utf8'), generated);
  return new Map([
    ['docs/config.schema.json', schemaText(registry)],
    ['docs/configuration.md', page('docs/configuration.md', configReference(registry))],
    ['docs/errors.md', page('docs/errors.md', errorTable())],
    ['docs/metrics.md', metricsPage()],
    ['docs/rules.schema.json', formatJson(rulesJsonSchema(), 'docs/rules.schema.json')],
    ...alertFiles(),
    ...dashboardFiles(),
  ]);
}

/** Those that are not as they should be. */
export function staleFiles(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([file, text]) => !existsSync(file) || readFileSync(file, 'utf8') !== text)
    .map(([file]) => file);
}
