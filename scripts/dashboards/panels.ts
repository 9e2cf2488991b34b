/** The little of Grafana's dashboard format (classic, schema 42) that these dashboards need. */

export const PROMETHEUS = { type: 'prometheus', uid: '$prometheus_datasource' } as const;
export const LOKI = { type: 'loki', uid: '$loki_datasource' } as const;

export type DataSource = typeof PROMETHEUS | typeof LOKI;

export interface Query {
  readonly source: DataSource;
  readonly expr: string;
  readonly legend?: string;
  /** Only the newest value: for tables and single numbers. */
  readonly instant?: boolean;
}

export type Link = { readonly title: string; readonly url: string };
type Display = Readonly<Record<string, unknown>>;

export interface Panel {
  readonly type: 'row' | 'stat' | 'timeseries' | 'table' | 'logs';
  readonly title: string;
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly queries: readonly Query[];
  readonly defaults: Display;
  readonly overrides: readonly Display[];
  readonly options: Display;
  readonly transformations: readonly Display[];
}

const EMPTY = { queries: [], defaults: {}, overrides: [], options: {}, transformations: [] } as const;

export function row(title: string): Panel {
  return { ...EMPTY, type: 'row', title, description: '', width: 24, height: 1 };
}

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

export function timeseries(title: string, description: string, unit: string, queries: Query[], look: Look = {}): Panel {
  const custom = {
    fillOpacity: look.stacked ? 60 : 10,
    showPoints: 'never',
    ...(look.stacked && { stacking: { mode: 'normal' }, drawStyle: 'bars', lineWidth: 0 }),
  };
  return {
    ...EMPTY,
    type: 'timeseries',
    title,
    description,
    width: look.width ?? 12,
    height: look.height ?? 8,
    queries,
    defaults: { unit, min: 0, custom, ...shared(look) },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
  };
}

export function stat(title: string, description: string, unit: string, query: Query, look: Look = {}): Panel {
  return {
    ...EMPTY,
    type: 'stat',
    title,
    description,
    width: look.width ?? 4,
    height: look.height ?? 4,
    queries: [{ ...query, instant: true }],
    defaults: { unit, ...shared(look) },
    options: { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: look.thresholds ? 'background' : 'value' },
  };
}

/** Columns by the name of their label or, for the queries' values, `Value #A`, `Value #B`, ...; those that are not named are not shown. */
export type Columns = Readonly<
  Record<string, { readonly title: string; readonly unit?: string; readonly links?: readonly Link[] }>
>;

export function table(title: string, description: string, queries: Query[], columns: Columns, look: Look = {}): Panel {
  const names = Object.keys(columns);
  const only = queries.length === 1;
  const value = names.find((name) => name.startsWith('Value')) as string;
  return {
    ...EMPTY,
    type: 'table',
    title,
    description,
    width: look.width ?? 12,
    height: look.height ?? 9,
    queries: queries.map((query) => ({ ...query, instant: true })),
    overrides: Object.values(columns).map(({ title, unit, links = [] }) => ({
      matcher: { id: 'byName', options: title },
      properties: [
        ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
        ...(links.length === 0 ? [] : [{ id: 'links', value: links }]),
      ],
    })),
    options: { sortBy: [{ displayName: columns[value]?.title, desc: true }] },
    transformations: [
      ...(only ? [] : [{ id: 'merge', options: {} }]),
      { id: 'filterFieldsByName', options: { include: { names: only ? names.map(plain) : names } } },
      {
        id: 'organize',
        options: {
          indexByName: Object.fromEntries(names.map((name, index) => [only ? plain(name) : name, index])),
          renameByName: Object.fromEntries(names.map((name) => [only ? plain(name) : name, columns[name]!.title])),
        },
      },
    ],
  };
}

/** Grafana numbers the values only where there are several queries. */
const plain = (name: string) => (name.startsWith('Value') ? 'Value' : name);

export function logs(title: string, description: string, query: Query, look: Look = {}): Panel {
  return {
    ...EMPTY,
    type: 'logs',
    title,
    description,
    width: look.width ?? 24,
    height: look.height ?? 12,
    queries: [query],
    options: {
      showTime: true,
      wrapLogMessage: true,
      enableLogDetails: true,
      dedupStrategy: 'none',
      sortOrder: 'Descending',
    },
  };
}

function shared({ thresholds, links, decimals }: Look): Display {
  const steps = thresholds && [
    { color: 'green', value: null },
    { color: 'yellow', value: thresholds[0] },
    { color: 'red', value: thresholds[1] },
  ];
  return {
    ...(steps && { thresholds: { mode: 'absolute', steps }, color: { mode: 'thresholds' } }),
    ...(links && { links }),
    ...(decimals !== undefined && { decimals }),
  };
}
