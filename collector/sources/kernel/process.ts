import type { Container } from '../../event/container-table.ts';
import { type Image, inContainer, NO_IMAGE } from './image.ts';

/** How long a chain of ancestors is kept; an endless chain of forks must not keep every process it ever had. */
export const MAX_ANCESTORS = 64;

/**
 * What is not certain of who started a process. `image`: the parent has executed something since, and which of its programs it was is not known. `parent`: its
 * birth was not seen, and the parent that the kernel names may have adopted it, or nothing is known of it.
 */
export type Doubt = 'none' | 'image' | 'parent';

/** What is known of a process. Identity is pid and start time; `execId` says which of its images this describes. */
export interface Process {
  readonly pid: number;
  readonly startTimeNs: number;
  execId: number;
  /** When this image started: the execution's time, or the process's start if it was there before the agent. */
  execTimeNs: number;
  /** The program, its arguments, and what it was given. A child shares it until it executes something else. */
  image: Image;
  /** False for a process that an event named but nothing is known of. */
  known: boolean;
  /** The process that started it, kept even after its exit: the lineage is who did it, not who adopted it. */
  parent: Process | undefined;
  doubt: Doubt;
  parentPid: number;
  /** Length of the chain of parents, at most {@link MAX_ANCESTORS}. */
  depth: number;
  vpid: number;
  vparentPid: number;
  sessionId: number;
  processGroupId: number;
  pidNamespace: number;
  /** The one in which it executed its program; of a process that was there before the agent, the one that it had then. */
  mntNamespace: number;
  /** The first container in which something was executed on the way to it. Of a runtime that has executed nothing yet in the one that it makes: the host. */
  origin: Container;
  /** When the last thread ended; 0 while it runs. */
  exitTimeNs: number;
  /** For proc.aname without an index: names of all ancestors, as of the table's generation below. */
  ancestorNames: readonly string[];
  ancestorGeneration: number;
}

const NO_NAMES: readonly string[] = [];

/** A process of which only the identity is known. */
export function unknownProcess(pid: number, startTimeNs: number, execId: number): Process {
  return {
    pid,
    startTimeNs,
    execId,
    execTimeNs: startTimeNs,
    image: NO_IMAGE,
    known: false,
    parent: undefined,
    doubt: 'parent',
    parentPid: 0,
    depth: 0,
    vpid: pid,
    vparentPid: 0,
    sessionId: 0,
    processGroupId: 0,
    pidNamespace: 0,
    mntNamespace: 0,
    origin: NO_IMAGE.container,
    exitTimeNs: 0,
    ancestorNames: NO_NAMES,
    ancestorGeneration: -1,
  };
}

/** The n-th ancestor: 0 is the process itself, 1 its parent. */
export function ancestor(process: Process, n: number): Process | undefined {
  let at: Process | undefined = process;
  for (let i = 0; i < n && at !== undefined; i++) at = at.parent;
  return at;
}

/**
 * A process with a new image, after what was known of it: {@link Process.origin}, and the container that it counts to.
 *
 * A runtime that was moved into the container that it makes, and executes a copy of itself then, is counted to the container, but has the mounts that it was
 * started with. What has once executed something in a container stays of it, also if it finds its way back to the mounts of the host, or into one of its cgroups.
 * @param before of several executions since, one may have been in the container
 */
export function succeed(process: Process, before: Process | undefined): void {
  if (!before?.known) return;
  process.origin = originOf(process, before);
  const { container } = before.image;
  const hasLeft = process.image.container.isHost && process.image.container !== container;
  if (hasLeft && !isCertainlyHost(process.origin) && !isCertainlyHost(container))
    process.image = inContainer(process.image, container);
}

/**
 * A process whose birth was not seen counts to the container of its parent if it is found in a cgroup of the host: it has left that one, as what is in a container
 * starts nothing outside of it. So it does if the parent has executed something since; but a runtime that only entered a container may have
 * started it before.
 */
export function descend(process: Process, parent: Process | undefined): void {
  if (!parent?.known || !process.image.container.isHost) return;
  const { container } = parent.image;
  if (isCertainlyHost(container) || isCertainlyHost(parent.origin)) return;
  process.image = inContainer(process.image, container);
  if (process.origin.isHost) process.origin = parent.origin;
}

const isCertainlyHost = ({ isHost, isDecided }: Container): boolean => isHost && isDecided;

function originOf({ image: { container }, execId, mntNamespace }: Process, before: Process): Container {
  const { origin } = before;
  if (!origin.isHost || isCertainlyHost(container)) return origin;
  const hasMovedOnly = mntNamespace !== 0 && mntNamespace === before.mntNamespace && execId === before.execId + 1;
  return hasMovedOnly ? origin : container;
}

/** Hangs a process below its parent, and cuts the chain where it gets longer than {@link MAX_ANCESTORS}. */
export function adopt(process: Process, parent: Process | undefined): void {
  process.parent = parent;
  process.depth = parent === undefined ? 0 : Math.min(parent.depth + 1, MAX_ANCESTORS);
  if (process.depth < MAX_ANCESTORS) return;
  const oldest = ancestor(process, MAX_ANCESTORS);
  if (oldest !== undefined) oldest.parent = undefined;
}
