import { formatJson } from '../documentation.ts';
import { type Dashboard, dashboardJson } from './dashboard.ts';
import { HEALTH } from './health.ts';
import { OVERVIEW } from './overview.ts';
import { RULES_PAGE } from './rules-page.ts';

export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, RULES_PAGE, HEALTH];

/** deploy/grafana/dashboards/*.json: path and text. */
export function dashboardFiles(): [file: string, text: string][] {
  return DASHBOARDS.map((dashboard) => {
    const file = `deploy/grafana/dashboards/${dashboard.uid}.json`;
    return [file, formatJson(dashboardJson(dashboard), file)];
  });
}
