import type { ContainerMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';

/** What the thread that evaluates rules is told of containers. */
export type ContainerNews =
  /** Whether there is an engine to ask. */
  | { readonly type: 'engines'; readonly present: boolean }
  | { readonly type: 'known'; readonly metadata: ContainerMetadata }
  /** No engine has it. */
  | { readonly type: 'unknown'; readonly request: ContainerRequest }
  | { readonly type: 'gone'; readonly request: ContainerRequest };
