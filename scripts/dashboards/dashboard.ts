import { LOKI, type Panel, PROMETHEUS, type Query } from './panels.ts';

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly from: string;
  readonly variables: readonly object[];
  readonly panels: readonly Panel[];
}

export const AGENT = 'job=~"$job", instance=~"$instance"';

const dataSource = (type: 'prometheus' | 'loki', label: string) => ({
  type: 'datasource',
  name: `${type}_datasource`,
  label: `${label} data source`,
  query: type,
  refresh: 1,
  hide: 0,
});

/** A choice of label values, all of them to begin with. */
export const choice = (name: string, label: string, query: string) => ({
  type: 'query',
  name,
  label,
  datasource: PROMETHEUS,
  query,
  definition: query,
  refresh: 2,
  multi: true,
  includeAll: true,
  allValue: '.+',
  current: { text: 'All', value: '$__all' },
  sort: 1,
});

export const DATA_SOURCES = [dataSource('prometheus', 'Prometheus'), dataSource('loki', 'Loki')];
export const AGENTS = [
  choice('job', 'Job', 'label_values(shikra_build_info, job)'),
  choice('instance', 'Instance', 'label_values(shikra_build_info{job=~"$job"}, instance)'),
];

const WIDTH = 24;

/** As Grafana reads it. Panels are placed from left to right, a row below another. */
export function dashboardJson({ uid, title, description, from, variables, panels }: Dashboard): object {
  const placed: object[] = [];
  let x = 0;
  let y = 0;
  let tallest = 0;
  for (const [index, panel] of panels.entries()) {
    if (x + panel.width > WIDTH) {
      x = 0;
      y += tallest;
      tallest = 0;
    }
    placed.push(panelJson(panel, index + 1, { x, y, w: panel.width, h: panel.height }));
    x += panel.width;
    tallest = Math.max(tallest, panel.height);
  }
  return {
    uid,
    title,
    description,
    tags: ['shikra'],
    timezone: 'browser',
    editable: false,
    graphTooltip: 1,
    schemaVersion: 42,
    version: 1,
    refresh: '30s',
    time: { from, to: 'now' },
    templating: { list: variables },
    annotations: { list: [] },
    links: [
      { type: 'dashboards', title: 'Shikra', tags: ['shikra'], asDropdown: true, includeVars: true, keepTime: true },
    ],
    panels: placed,
  };
}

function panelJson(panel: Panel, id: number, gridPos: object): object {
  const { type, title, description, queries, defaults, overrides, options, transformations } = panel;
  if (type === 'row') return { id, type, title, gridPos, collapsed: false, panels: [] };
  return {
    id,
    type,
    title,
    description,
    gridPos,
    datasource: queries[0]?.source,
    targets: queries.map((query, index) => targetJson(query, String.fromCharCode(65 + index), type === 'table')),
    fieldConfig: { defaults, overrides },
    options,
    ...(transformations.length > 0 && { transformations }),
  };
}

function targetJson({ source, expr, legend, instant = false }: Query, refId: string, asTable: boolean): object {
  const format = asTable ? { format: 'table' } : {};
  if (source === LOKI) {
    return {
      refId,
      datasource: source,
      expr,
      queryType: instant ? 'instant' : 'range',
      legendFormat: legend,
      maxLines: 200,
    };
  }
  return { refId, datasource: source, expr, instant, range: !instant, legendFormat: legend, ...format };
}
