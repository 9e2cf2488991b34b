import { once } from 'node:events';
import { createConnection } from 'node:net';
import { type Config, kernelReceiver } from '../../collector/config/config.ts';
import { type EngineSocket, findSockets } from '../../collector/containers/sockets.ts';
import { absent, type Check, ok } from './check.ts';

const NAME = 'containers';
const LIMIT_MILLIS = 1000;

/** The container engines of this machine. None is fine: there may be no containers. */
export async function checkContainers(config: Config): Promise<Check[]> {
  const receiver = kernelReceiver(config);
  if (receiver === undefined) return [];
  const found = findSockets(receiver.containers);
  if (found.length === 0)
    return [absent(NAME, 'no socket of a container engine found: containers have ids, and no names')];
  return Promise.all(found.map(checkSocket));
}

async function checkSocket({ engine, path }: EngineSocket): Promise<Check> {
  const connection = createConnection(path);
  try {
    await once(connection, 'connect', { signal: AbortSignal.timeout(LIMIT_MILLIS) });
    return ok(NAME, `${engine} at ${path}`);
  } catch (error) {
    const { code = 'no answer' } = error as NodeJS.ErrnoException;
    return absent(NAME, `${engine} at ${path}: ${code}`, remedyOf(code));
  } finally {
    connection.destroy();
  }
}

function remedyOf(code: string): string {
  if (code === 'EACCES') return 'run as root, or let the user of the agent write to the socket';
  return 'start the engine, or remove the socket that it left; until then its containers have no names';
}
