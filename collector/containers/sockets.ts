import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CONTAINER_ENGINES, type ContainerEngine } from '../event/container-metadata.ts';

export interface EngineSocket {
  readonly engine: ContainerEngine;
  readonly path: string;
  /** Who made it, and so who answers there: 0 for root. */
  readonly uid: number;
  /** Another one after the engine was started anew. */
  readonly inode: number;
}

/** Those of the configured sockets that are there. Two names of one socket are one. Takes some microseconds for each. */
export function findSockets(configured: Readonly<Record<ContainerEngine, readonly string[]>>): EngineSocket[] {
  const found = new Map<string, EngineSocket>();
  for (const engine of CONTAINER_ENGINES) {
    for (const path of configured[engine].flatMap(expand)) {
      const socket = look(engine, path);
      if (socket !== undefined && !found.has(socket.path)) found.set(socket.path, socket);
    }
  }
  return [...found.values()];
}

function look(engine: ContainerEngine, path: string): EngineSocket | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats?.isSocket() ? { engine, path: realpathSync(path), uid: stats.uid, inode: stats.ino } : undefined;
  } catch {
    return undefined; // another user's folder: not for us
  }
}

function expand(path: string): string[] {
  const star = path.indexOf('/*/');
  if (star < 0) return [path];
  const folder = path.slice(0, star);
  const rest = path.slice(star + '/*/'.length);
  try {
    return readdirSync(folder).map((name) => join(folder, name, rest));
  } catch {
    return [];
  }
}
