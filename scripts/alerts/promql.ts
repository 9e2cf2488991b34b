/** Labels that tell one agent from another, by scraping as over OTLP. */
export const AGENT = 'job, instance';

/**
 * How often something was counted within the window, above 0 only where it was.
 *
 * `increase()` alone needs a sample from before the first step. There is none when the agent had just started, nor when the series is new; and a
 * counter that was 1 before a restart and is 1 after it seems not to have moved. So two kinds of series count with all that they have:
 * those of an agent that is younger than the window, and those that appeared within the window while the agent was there. The latter
 * condition keeps quiet after an outage of Prometheus itself, when every series appears anew. They come first, as they are exact: `increase()`
 * extrapolates, and makes two of one match in a series of a few samples.
 */
export function happened(series: string, window: string, labels = ''): string {
  const by = labels === '' ? AGENT : `${AGENT}, ${labels}`;
  return `sum by (${by}) (
  ${series} > 0
    and on (${AGENT}) time() - process_start_time_seconds < ${seconds(window)}
  or
  (${series} unless ${series} offset ${window}) > 0
    and on (${AGENT}) shikra_build_info offset ${window}
  or
  increase(${series}[${window}]) > 0
)`;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

function seconds(duration: string): number {
  return Number.parseInt(duration, 10) * (SECONDS[duration.slice(-1)] as number);
}
