import type { AnyValue, HrTime } from '@opentelemetry/api';

export type Attributes = Record<string, AnyValue>;

/** One log record as it came, whatever the encoding was. */
export interface ReceivedRecord {
  readonly eventName: string;
  /** Nanoseconds since 1970; 0 if it was not said. */
  readonly timeNanos: bigint;
  readonly observedNanos: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: AnyValue;
  readonly attributes: Attributes;
}

/** Records of one origin. */
export interface ReceivedGroup {
  readonly resource: Attributes;
  readonly resourceSchemaUrl: string;
  readonly scope: { readonly name: string; readonly version: string; readonly schemaUrl: string };
  readonly records: readonly ReceivedRecord[];
}

/** An integer as attributes hold it here: what a double cannot hold exactly is text. */
export function integerValue(value: bigint): AnyValue {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

export function hrTime(nanos: bigint): HrTime {
  return [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)];
}
