import type { Context } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { ATTRIBUTES } from '../../collector/detection/log-record.ts';
import { atLeast, type Priority, parsePriority } from '../../collector/detection/priority.ts';
import { priorityOfSeverity, SEVERITIES } from '../../collector/detection/severity.ts';
import { type PriorityConfig, priorityConfigSchema } from './config.ts';

export { type PriorityConfig, priorityConfigSchema } from './config.ts';

export const PRIORITY_DROP_REASONS = ['below_minimum', 'shutdown'] as const;

export type PrioritySettings = Partial<PriorityConfig> & {
  /** Told of every record that is not passed on. */
  readonly onDrop?: (reason: (typeof PRIORITY_DROP_REASONS)[number]) => void;
};

/**
 * Gives every record the severity of its priority (`shikra.priority`), changes the priority of chosen rules, and drops what is below the minimum.
 * A record without a priority is ranked by its severity number and otherwise left as it is.
 *
 * @throws ZodError for a priority that does not exist
 */
export class PriorityProcessor implements LogRecordProcessor {
  /** Records not passed on, since start. */
  dropped = 0;
  readonly #next: LogRecordProcessor;
  readonly #onDrop: NonNullable<PrioritySettings['onDrop']>;
  readonly #minimum: Priority;
  readonly #severityText: (priority: Priority) => string;
  readonly #byRule = new Map<string, Priority>();
  readonly #byTag = new Map<string, Priority>();
  #isShutdown = false;

  constructor(settings: PrioritySettings, next: LogRecordProcessor) {
    const { onDrop = () => {}, ...config } = settings;
    const { minimum, severity_text, overrides } = priorityConfigSchema.parse(config);
    this.#next = next;
    this.#onDrop = onDrop;
    this.#minimum = minimum;
    this.#severityText =
      severity_text === 'source' ? (priority) => priority.toUpperCase() : (priority) => SEVERITIES[priority].text;
    for (const { rule, tag, priority } of overrides) {
      if (rule !== undefined && !this.#byRule.has(rule)) this.#byRule.set(rule, priority);
      if (tag !== undefined && !this.#byTag.has(tag)) this.#byTag.set(tag, priority);
    }
  }

  onEmit(record: ReadWriteLogRecord, context?: Context): void {
    if (this.#isShutdown) {
      this.#drop('shutdown');
      return;
    }
    const given = parsePriority(String(record.attributes[ATTRIBUTES.priority] ?? ''));
    const priority = this.#override(record) ?? given;
    const rank = priority ?? priorityOfSeverity(record.severityNumber ?? 0);
    if (!atLeast(rank, this.#minimum)) {
      this.#drop('below_minimum');
      return;
    }
    if (priority !== undefined) {
      if (priority !== given) record.setAttribute(ATTRIBUTES.priority, priority.toLowerCase());
      record.setSeverityNumber(SEVERITIES[priority].number).setSeverityText(this.#severityText(priority));
    }
    this.#next.onEmit(record, context);
  }

  forceFlush(options?: { timeoutMillis?: number }): Promise<void> {
    return this.#next.forceFlush(options);
  }

  async shutdown(): Promise<void> {
    if (this.#isShutdown) return;
    this.#isShutdown = true;
    await this.#next.shutdown();
  }

  #override(record: ReadWriteLogRecord): Priority | undefined {
    const byRule = this.#byRule.get(String(record.attributes[ATTRIBUTES.rule]));
    if (byRule !== undefined || this.#byTag.size === 0) return byRule;
    const tags = record.attributes[ATTRIBUTES.tags];
    if (!Array.isArray(tags)) return undefined;
    // In the order of the configuration, not of the rule's tags.
    for (const [tag, priority] of this.#byTag) if (tags.includes(tag)) return priority;
    return undefined;
  }

  #drop(reason: (typeof PRIORITY_DROP_REASONS)[number]): void {
    this.dropped++;
    this.#onDrop(reason);
  }
}
