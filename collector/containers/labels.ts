/** Enough for what people and Kubernetes write; whoever may start a container must not fill the agent's memory. */
const MOST_CHARACTERS = 16 * 1024;
const MOST_LABELS = 256;
const CUT_TO = 256;

type Labels = Readonly<Record<string, string>>;

/** The labels as they are, unless they are too long altogether: then values are cut, and so many are kept. */
export function boundedLabels(labels: Labels): Labels {
  const entries = Object.entries(labels);
  const characters = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (characters <= MOST_CHARACTERS && entries.length <= MOST_LABELS) return labels;
  return Object.fromEntries(
    entries
      .filter(([key]) => key.length <= CUT_TO)
      .slice(0, MOST_LABELS)
      .map(([key, value]) => [key, value.slice(0, CUT_TO)]),
  );
}
