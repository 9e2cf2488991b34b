import { SeverityNumber } from '@opentelemetry/api';
import { PRIORITIES, type Priority } from './priority.ts';

interface Severity {
  readonly number: SeverityNumber;
  /** One of the five words that Loki and other back ends know a colour for; `NOTICE` or `ALERT` they would not. */
  readonly text: string;
}

/** OpenTelemetry's severity for each priority: the syslog column of the log data model's appendix B. */
export const SEVERITIES: Readonly<Record<Priority, Severity>> = {
  Emergency: { number: SeverityNumber.FATAL, text: 'FATAL' },
  Alert: { number: SeverityNumber.ERROR3, text: 'ERROR' },
  Critical: { number: SeverityNumber.ERROR2, text: 'ERROR' },
  Error: { number: SeverityNumber.ERROR, text: 'ERROR' },
  Warning: { number: SeverityNumber.WARN, text: 'WARN' },
  Notice: { number: SeverityNumber.INFO2, text: 'INFO' },
  Informational: { number: SeverityNumber.INFO, text: 'INFO' },
  Debug: { number: SeverityNumber.DEBUG, text: 'DEBUG' },
};

/** The most severe priority that `severity` reaches: how a record that is not Shikra's own is ranked. */
export function priorityOfSeverity(severity: number): Priority {
  return PRIORITIES.find((priority) => SEVERITIES[priority].number <= severity) ?? 'Debug';
}
