import { connect, isIP, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { Tls } from './tls.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Connects, over TLS if `tls` is given. Rejects if that fails or `signal` aborts. */
export function openSocket({ host, port }: Address, tls: Tls | undefined, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket =
      tls === undefined
        ? connect({ host, port })
        : tlsConnect({ host, port, servername: serverName(host), ...tls.get() });
    const settle = (error?: Error) => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', settle);
      // Later errors come with `close`, which the owner of the socket listens to.
      socket.on('error', () => {});
      if (error === undefined) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(error);
    };
    const onAbort = () => settle(new Error(`no connection to ${host}:${port} in time`));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', settle);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => settle());
    if (signal.aborted) onAbort();
  });
}

/** The name that a server is asked for; an address is none (RFC 6066), and Node refuses it. */
export function serverName(host: string): string {
  return isIP(host) === 0 ? host : '';
}
