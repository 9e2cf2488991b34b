import type { z } from 'zod';

export type Signal = 'logs' | 'metrics';

/** What the configuration needs to know of a receiver, processor or exporter. */
export interface ComponentKind {
  /**
   * Every key described (`.describe`), every default in it (`.default`). A message of its own starts with "expected".
   */
  readonly configSchema: z.ZodType;
  /** The pipelines that it can stand in; logs if not said. */
  readonly signals?: readonly Signal[];
}

/** Every type of component that a configuration may name, by type, and the store that stands between them. */
export interface ComponentRegistry {
  readonly receivers: Readonly<Record<string, ComponentKind>>;
  readonly processors: Readonly<Record<string, ComponentKind>>;
  readonly exporters: Readonly<Record<string, ComponentKind>>;
  /** The schema of `service.store`. */
  readonly storeSchema: z.ZodType;
}

export const COMPONENT_CLASSES = ['receivers', 'processors', 'exporters'] as const;
export type ComponentClass = (typeof COMPONENT_CLASSES)[number];

/** One configured component. */
export interface Component<Settings = unknown> {
  /** As the user wrote it: `otlp` or `otlp/eu`. */
  readonly id: string;
  readonly type: string;
  /** Checked against the type's schema, defaults filled in. */
  readonly config: Settings;
}

const ID = /^([a-z][a-z0-9_]*)(\/[^\s/]+)?$/;

/** The type in an id: `otlp/eu` -> `otlp`. Undefined if it is no id. */
export function typeOf(id: string): string | undefined {
  return ID.exec(id)?.[1];
}
