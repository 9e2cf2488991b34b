/** The panels that these dashboards have, out of the builders of Grafana's own SDK: what it does not know does not compile. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BigValueColorMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  LogsDedupStrategy,
  LogsSortOrder,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableSortByFieldStateBuilder,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardLinkBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as LogsBuilder } from '@grafana/grafana-foundation-sdk/logs';
import { DataqueryBuilder as LokiQueryBuilder } from '@grafana/grafana-foundation-sdk/loki';
import {
  DataqueryBuilder as PrometheusQueryBuilder,
  PromQueryFormat,
} from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

export const PROMETHEUS = { type: 'prometheus', uid: '$prometheus_datasource' } as const;
export const LOKI = { type: 'loki', uid: '$loki_datasource' } as const;

export type DataSource = typeof PROMETHEUS | typeof LOKI;

export interface Query {
  readonly source: DataSource;
  readonly expr: string;
  readonly legend: string;
}

export interface Link {
  readonly title: string;
  readonly url: string;
}

/** Both know `build`; a row begins a new line. */
export type Part = RowBuilder | Builder<Panel>;

const MOST_LINES = 200;

export const row = (title: string): RowBuilder => new RowBuilder(title);

export const prometheus = (expr: string, legend = ''): Query => ({ source: PROMETHEUS, expr, legend });
export const loki = (expr: string, legend = ''): Query => ({ source: LOKI, expr, legend });

interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly stacked?: boolean;
  /** From this value on it is yellow, from that on red. */
  readonly thresholds?: readonly [yellow: number, red: number];
  readonly links?: readonly Link[];
  readonly decimals?: number;
}

export function timeseries(title: string, description: string, unit: string, queries: Query[], look: Look = {}): Part {
  const panel = new TimeseriesBuilder()
    .fillOpacity(look.stacked ? 60 : 10)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .min(0);
  if (look.stacked)
    panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)).drawStyle(GraphDrawStyle.Bars).lineWidth(0);
  return dressed(panel.unit(unit), title, description, queries, { width: 12, height: 8, ...look });
}

export function stat(title: string, description: string, unit: string, query: Query, look: Look = {}): Part {
  const panel = new StatBuilder()
    .unit(unit)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorMode(look.thresholds ? BigValueColorMode.Background : BigValueColorMode.Value);
  return dressed(panel, title, description, [query], { width: 4, height: 4, ...look }, 'newest');
}

/** Columns by the name of their label or, for the queries' values, `Value #A`, `Value #B`, ...; those that are not named are not shown. */
export type Columns = Readonly<
  Record<string, { readonly title: string; readonly unit?: string; readonly links?: readonly Link[] }>
>;

export function table(title: string, description: string, queries: Query[], columns: Columns, look: Look = {}): Part {
  const only = queries.length === 1;
  // Grafana numbers the values only where there are several queries.
  const names = Object.keys(columns).map((name) => (only && name.startsWith('Value') ? 'Value' : name));
  const titles = Object.values(columns).map((column) => column.title);
  const value = names.findIndex((name) => name.startsWith('Value'));
  const panel = new TableBuilder().sortBy([new TableSortByFieldStateBuilder().displayName(titles[value]!).desc(true)]);
  for (const { title, unit, links = [] } of Object.values(columns))
    panel.overrideByName(title, [
      ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
      ...(links.length === 0 ? [] : [{ id: 'links', value: links }]),
    ]);
  if (!only) panel.withTransformation({ id: 'merge', options: {} });
  panel.withTransformation({ id: 'filterFieldsByName', options: { include: { names } } }).withTransformation({
    id: 'organize',
    options: {
      indexByName: Object.fromEntries(names.map((name, index) => [name, index])),
      renameByName: Object.fromEntries(names.map((name, index) => [name, titles[index]])),
    },
  });
  return dressed(panel, title, description, queries, { width: 12, height: 9, ...look }, 'table');
}

export function logs(title: string, description: string, query: Query, look: Look = {}): Part {
  const panel = new LogsBuilder()
    .showTime(true)
    .wrapLogMessage(true)
    .enableLogDetails(true)
    .dedupStrategy(LogsDedupStrategy.None)
    .sortOrder(LogsSortOrder.Descending);
  return dressed(panel, title, description, [query], { width: 24, height: 12, ...look });
}

type PanelBuilder = TimeseriesBuilder | StatBuilder | TableBuilder | LogsBuilder;
type Asked = 'range' | 'newest' | 'table';

/** What panels of every kind have. */
function dressed<Panel extends PanelBuilder>(
  panel: Panel,
  title: string,
  description: string,
  queries: readonly Query[],
  { width, height, thresholds, links, decimals }: Look & { readonly width: number; readonly height: number },
  asked: Asked = 'range',
): Panel {
  panel.title(title).description(description).span(width).height(height).datasource(queries[0]!.source);
  for (const [index, query] of queries.entries())
    panel.withTarget(targetOf(query, String.fromCharCode(65 + index), asked));
  if (thresholds !== undefined)
    panel
      .thresholds(
        new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
          { color: 'green', value: null },
          { color: 'yellow', value: thresholds[0] },
          { color: 'red', value: thresholds[1] },
        ]),
      )
      .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds));
  if (links !== undefined) panel.dataLinks(links.map(({ title, url }) => new DashboardLinkBuilder(title).url(url)));
  if (decimals !== undefined) panel.decimals(decimals);
  return panel;
}

/** Tables and single numbers ask only for the newest value. */
function targetOf({ source, expr, legend }: Query, refId: string, asked: Asked): Builder<Dataquery> {
  if (source === LOKI)
    return new LokiQueryBuilder()
      .refId(refId)
      .datasource(source)
      .expr(expr)
      .queryType('range')
      .legendFormat(legend)
      .maxLines(MOST_LINES);
  const query = new PrometheusQueryBuilder().refId(refId).datasource(source).expr(expr).legendFormat(legend);
  if (asked === 'table') query.format(PromQueryFormat.Table);
  return asked === 'range' ? query.range() : query.instant();
}
