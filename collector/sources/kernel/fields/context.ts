import type { FieldValue } from '../../../detection/detection.ts';
import type { DomainNames } from '../../../event/domain-names.ts';
import type { NameFile } from '../../../event/name-file.ts';
import type { KernelClock } from '../clock.ts';
import type { EventView } from '../event-view.ts';
import type { ProcessTable } from '../process-table.ts';

/** What fields are taken from beside the event itself. */
export interface FieldContext {
  readonly table: ProcessTable;
  readonly clock: Pick<KernelClock, 'wallNs'>;
  readonly users: Pick<NameFile, 'name'>;
  readonly groups: Pick<NameFile, 'name'>;
  /** What rules call an address. */
  readonly domainNames: Pick<DomainNames, 'of'>;
  readonly hostname: string;
}

export type Getter = (event: EventView) => FieldValue | undefined;

/** A field by its argument; undefined if it has no value with that argument. */
export type ArgumentGetter = (
  argument: string | undefined,
  context: FieldContext,
  eventType: string | undefined,
) => Getter | undefined;

/** Fields without argument by name, or with it. */
export type FieldTable = Readonly<Record<string, ArgumentGetter>>;

/** A field that takes no argument. */
export function plain(getter: Getter): ArgumentGetter {
  return () => getter;
}
