/** What is wrong with the watched machines, or with the watching: who is told, and how soon. */
export type Severity = 'critical' | 'warning';

export interface Alert {
  readonly alert: `Shikra${string}`;
  /** PromQL or LogQL; every series that it gives is an alert. */
  readonly expr: string;
  /** For how long the expression must hold; at once without. */
  readonly for?: string;
  readonly severity: Severity;
  /** A sentence without variables: alerts that are grouped share it. */
  readonly summary: string;
  /** What and where, with labels and numbers. */
  readonly description: string;
}

/** A place that does not exist: users put their own there, such as the address of their copy of docs/runbooks/. */
export const RUNBOOKS = 'https://shikra.example/docs/runbooks';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The alert as Prometheus' and Loki's rule files have it. */
export function alertRule(alert: Alert, labels: Readonly<Record<string, string>> = {}): AlertRule {
  return {
    alert: alert.alert,
    expr: alert.expr,
    ...(alert.for !== undefined && { for: alert.for }),
    labels: { severity: alert.severity, ...labels },
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${RUNBOOKS}/${alert.alert}.md`,
    },
  };
}
