/** What the agent counted, out of its page of metrics. */
export interface Counters {
  readonly events: number;
  /** Events that did not arrive. */
  readonly lost: number;
  /** Events that arrived with a string marked unreadable. */
  readonly incomplete: number;
  readonly detections: number;
}

const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;

/** @param page in the text format of Prometheus */
export function parseCounters(page: string): Counters {
  const counters = { events: 0, lost: 0, incomplete: 0, detections: 0 };
  for (const line of page.split('\n')) {
    const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
    if (name === 'shikra_events_total') counters.events += Number(value);
    else if (name === 'shikra_detections_total') counters.detections += Number(value);
    else if (name === 'shikra_events_dropped_total')
      counters[labels.includes('reason="read_failed"') ? 'incomplete' : 'lost'] += Number(value);
  }
  return counters;
}
