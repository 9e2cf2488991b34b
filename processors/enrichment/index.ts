import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Context } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { containerOf } from '../../collector/event/container.ts';
import { NameFile } from '../../collector/event/name-file.ts';
import { type EnrichmentConfig, enrichmentConfigSchema } from './config.ts';

export { type EnrichmentConfig, enrichmentConfigSchema } from './config.ts';

export const ENRICHMENT_DROP_REASONS = ['shutdown'] as const;

export type EnrichmentSettings = Partial<EnrichmentConfig> & {
  readonly onDrop?: (reason: (typeof ENRICHMENT_DROP_REASONS)[number]) => void;
  /** Milliseconds; default the monotonic clock. */
  readonly now?: () => number;
};

/** Attribute with a number -> attribute with its name. */
const USER_NAMES = [
  ['process.user.id', 'process.user.name'],
  ['process.real_user.id', 'process.real_user.name'],
  ['shikra.user.login.id', 'shikra.user.login.name'],
] as const;

type Step = (record: ReadWriteLogRecord) => void;

/** Adds to every record what can be known from its attributes and from the host. What the record says already is never changed. */
export class EnrichmentProcessor implements LogRecordProcessor {
  dropped = 0;
  readonly #next: LogRecordProcessor;
  readonly #onDrop: NonNullable<EnrichmentSettings['onDrop']>;
  readonly #steps: readonly Step[];
  #isShutdown = false;

  constructor(settings: EnrichmentSettings, next: LogRecordProcessor) {
    const { onDrop = () => {}, now = () => performance.now(), ...given } = settings;
    const config = enrichmentConfigSchema.parse(given);
    this.#next = next;
    this.#onDrop = onDrop;
    this.#steps = [
      ...(config.container ? [addContainer] : []),
      ...(config.users ? [userNames(config.host_root, now)] : []),
      ...(config.host ? [hostNames(config.host_root)] : []),
    ];
  }

  onEmit(record: ReadWriteLogRecord, context?: Context): void {
    if (this.#isShutdown) {
      this.dropped++;
      this.#onDrop('shutdown');
      return;
    }
    for (const step of this.#steps) step(record);
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
}

function setMissing(record: ReadWriteLogRecord, name: string, value: string | undefined): void {
  if (value !== undefined && value !== '' && record.attributes[name] === undefined) record.setAttribute(name, value);
}

function addContainer(record: ReadWriteLogRecord): void {
  const cgroup = record.attributes['process.linux.cgroup'];
  if (typeof cgroup !== 'string' || record.attributes['container.id'] !== undefined) return;
  const container = containerOf(cgroup);
  if (container === undefined) return;
  record.setAttribute('container.id', container.id);
  setMissing(record, 'container.runtime.name', container.runtime);
}

function userNames(hostRoot: string, now: () => number): Step {
  const users = new NameFile(join(hostRoot, 'etc/passwd'), now);
  const groups = new NameFile(join(hostRoot, 'etc/group'), now);
  return (record) => {
    const { attributes } = record;
    if (attributes['container.id'] !== undefined) return;
    for (const [id, name] of USER_NAMES) {
      const number = attributes[id];
      if (typeof number === 'number') setMissing(record, name, users.name(number));
    }
    const group = attributes['shikra.group.id'];
    if (typeof group === 'number') setMissing(record, 'shikra.group.name', groups.name(group));
  };
}

function hostNames(hostRoot: string): Step {
  const name = read(join(hostRoot, 'etc/hostname')) ?? hostname();
  const id = read(join(hostRoot, 'etc/machine-id'));
  return (record) => {
    if (record.resource.attributes['host.name'] === undefined) setMissing(record, 'host.name', name);
    if (record.resource.attributes['host.id'] === undefined) setMissing(record, 'host.id', id);
  };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
