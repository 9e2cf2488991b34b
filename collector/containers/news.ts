import type { ContainerMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';

/** What the thread that evaluates rules is told of containers. */
export type ContainerNews =
  /** Whether there is an engine to ask. */
  | { readonly type: 'engines'; readonly present: boolean }
  /** By an engine of the user `owner`; absent for root's. */
  | { readonly type: 'known'; readonly metadata: ContainerMetadata; readonly owner: number | undefined }
  /** No engine has it. */
  | { readonly type: 'unknown'; readonly request: ContainerRequest }
  | { readonly type: 'gone'; readonly request: ContainerRequest };
