import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { type Part, PROMETHEUS } from './panels.ts';

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly from: string;
  readonly variables: readonly Builder<VariableModel>[];
  /** Placed from left to right, a row below another. */
  readonly panels: readonly Part[];
}

export const AGENT = 'job=~"$job", instance=~"$instance"';

/** What a choice has to begin with. */
export const ALL = { text: 'All', value: '$__all' };

const dataSource = (type: 'prometheus' | 'loki', label: string) =>
  new DatasourceVariableBuilder(`${type}_datasource`).label(`${label} data source`).type(type);

/** A choice of label values, all of them to begin with. */
export const choice = (name: string, label: string, query: string) =>
  new QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query(query)
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current(ALL)
    .sort(VariableSort.AlphabeticalAsc);

export const DATA_SOURCES = [dataSource('prometheus', 'Prometheus'), dataSource('loki', 'Loki')];
export const AGENTS = [
  choice('job', 'Job', 'label_values(shikra_build_info, job)'),
  choice('instance', 'Instance', 'label_values(shikra_build_info{job=~"$job"}, instance)'),
];

/** As Grafana reads it. */
export function dashboardJson({ uid, title, description, from, variables, panels }: Dashboard): object {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['shikra'])
    .timezone('browser')
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .version(1)
    .refresh('30s')
    .time({ from, to: 'now' })
    .variables([...variables])
    .link(
      new DashboardLinkBuilder('Shikra')
        .type(DashboardLinkType.Dashboards)
        .tags(['shikra'])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    );
  for (const panel of panels) {
    if (panel instanceof RowBuilder) builder.withRow(panel);
    else builder.withPanel(panel);
  }
  const dashboard = builder.build();
  dashboard.panels?.forEach((panel, index) => {
    panel.id = index + 1;
  });
  return dashboard;
}
