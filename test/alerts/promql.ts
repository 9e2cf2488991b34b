import { METRIC_TABLE } from '../../collector/telemetry/metric-table.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';

/** What every series has by its way to Prometheus. */
const TARGET_LABELS = ['job', 'instance'];

/** Labels of every metric that an agent has, and of those that Prometheus makes of it. */
async function knownMetrics(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const known = new Map<string, Set<string>>();
  const add = (name: string, labels: readonly string[]) => known.set(name, new Set([...labels, ...TARGET_LABELS]));
  for (const { name } of await createMetrics().registry.getMetricsAsJSON()) add(name, []);
  for (const { name, type, labels } of Object.values(METRIC_TABLE)) {
    add(name, labels);
    if (type !== 'histogram') continue;
    for (const suffix of ['_sum', '_count']) add(`${name}${suffix}`, labels);
    add(`${name}_bucket`, [...labels, 'le']);
  }
  add('up', []);
  return known;
}

const known = await knownMetrics();

const STRING = /"(?:[^"\\]|\\.)*"/g;
const SELECTOR = /\b([a-z_][a-z0-9_]*)\b(?!\s*\()(?:\{([^}]*)\})?/g;
const GROUPING = /\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)/g;
const WORDS = new Set(['by', 'on', 'and', 'or', 'unless', 'without', 'ignoring', 'group_left', 'offset', 'bool']);

/** What a query names that no agent has: metrics, labels in selectors, labels that it groups by. Empty if all is well. */
export function unknownIn(query: string): string[] {
  const bare = query.replace(STRING, '""');
  const groupings = [...bare.matchAll(GROUPING)].flatMap(([, labels]) => listed(labels as string));
  // Durations and variables name nothing.
  const rest = bare.replace(GROUPING, ' ').replace(/\[[^\]]*\]|\boffset\s+\w+|\$\w+/g, ' ');
  const used = [...rest.matchAll(SELECTOR)].filter(([, name]) => !WORDS.has(name as string));
  const problems: string[] = [];
  const labels = new Set<string>();
  for (const [, name, matchers = ''] of used) {
    const has = known.get(name as string);
    if (has === undefined) {
      problems.push(`metric ${name}`);
      continue;
    }
    for (const label of has) labels.add(label);
    for (const matcher of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      if (!has.has(matcher[1] as string)) problems.push(`label ${matcher[1]} of ${name}`);
  }
  return [...problems, ...groupings.filter((label) => !labels.has(label)).map((label) => `grouping by ${label}`)];
}

function listed(labels: string): string[] {
  return labels
    .split(',')
    .map((label) => label.trim())
    .filter((label) => label !== '');
}
