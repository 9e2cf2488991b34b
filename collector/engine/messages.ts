import type { ContainerNews } from '../containers/news.ts';
import type { Priority } from '../detection/priority.ts';
import type { ErrorCode } from '../errors.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import type { ToldName } from '../event/domain-names.ts';
import type { CanaryReport, CollectorStats } from '../telemetry/collector-stats.ts';
import type { RulesRequest } from './load-rules.ts';

/** How a reload ended. */
export type ReloadOutcome =
  | {
      readonly ok: true;
      readonly rules: readonly { readonly name: string; readonly priority: string; readonly source: string }[];
      readonly warnings: readonly string[];
      /** The longest that the collector was kept from its rings. */
      readonly longestPauseMillis: number;
    }
  | { readonly ok: false; readonly errors: readonly string[] };

/** What the collector thread is started with. */
export interface CollectorOptions {
  readonly rules: RulesRequest;
  readonly ruleMatching: 'first' | 'all';
  readonly ringPreset: number;
  readonly cpusPerRing: number;
  readonly processTableEntries: number;
  readonly captureEnv: readonly string[];
  /** Whether there is a container engine to ask. */
  readonly hasContainerEngines: boolean;
  /** How long an event waits for the metadata of its container. */
  readonly containerHoldMillis: number;
  /** How often the programs are given something to tell; 0: never. */
  readonly canaryIntervalMillis: number;
  /** Whether the kernel counts runs of programs and their time. */
  readonly programStatistics: boolean;
}

export interface LoadedRule {
  readonly name: string;
  readonly priority: Priority;
  readonly source: string;
}

/** Collector thread -> main thread. */
export type FromCollector =
  | {
      readonly type: 'ready';
      readonly rules: readonly LoadedRule[];
      readonly eventTypes: readonly string[];
      readonly warnings: readonly string[];
    }
  /** Each as `stringifyExact` writes it: as a text it crosses at a third of the cost, and goes to disk as it is. */
  | {
      readonly type: 'detections';
      readonly detections: readonly string[];
      /** Much waits in the rings: storing goes before all else. */
      readonly behind: boolean;
    }
  | { readonly type: 'stats'; readonly stats: CollectorStats }
  | { readonly type: 'canaries'; readonly report: CanaryReport }
  /** Names in rules that cannot be resolved any more, or can again. */
  | { readonly type: 'domain_names'; readonly names: readonly ToldName[] }
  /** Containers that the engines are to be asked about. */
  | { readonly type: 'wanted'; readonly requests: readonly ContainerRequest[] }
  /** The answer to `adopt`. */
  | { readonly type: 'adopted'; readonly outcome: ReloadOutcome }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly detail: string }
  /** After `stop`: every event seen before it has been evaluated, but for those in so many bytes; every detection has been sent. */
  | { readonly type: 'stopped'; readonly stats: CollectorStats; readonly leftBytes: number };

/** Main thread -> collector thread. */
export type ToCollector =
  /** The first message. */
  | { readonly type: 'begin'; readonly options: CollectorOptions }
  /** So many detections have been taken over: the collector sends on credit, and waits when it has none left. */
  | { readonly type: 'taken'; readonly count: number }
  | { readonly type: 'stats' }
  /** What a container engine told. */
  | { readonly type: 'container'; readonly news: ContainerNews }
  /** New rules, or why there are none: for `decodeRules`. */
  | { readonly type: 'adopt'; readonly rules: Uint8Array }
  /** Detaches and works through what is in the rings, for so long at most. */
  | { readonly type: 'stop'; readonly limitMillis: number };
