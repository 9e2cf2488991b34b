import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { CallCredentials, ChannelCredentials, experimental } from '@grpc/grpc-js';
import { serverName } from '../helper/socket.ts';
import type { Tls } from '../helper/tls.ts';

type CreateConnector = ChannelCredentials['_createSecureConnector'];

/**
 * TLS for gRPC. grpc-js' own credentials ask a server by its address for a certificate of that name, which RFC 6066 does not allow and Node refuses: no
 * https://10.0.0.1:4317 could be reached. And they hold the certificates that there were at the start.
 */
export class TlsChannelCredentials extends ChannelCredentials {
  readonly #tls: Tls;

  constructor(tls: Tls) {
    super();
    this.#tls = tls;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    ...[target, options, given]: Parameters<CreateConnector>
  ): ReturnType<CreateConnector> {
    const callCredentials = given ?? CallCredentials.createEmpty();
    // Behind a proxy the target is the proxy.
    const behind = options['grpc.http_connect_target'];
    const authority = behind === undefined ? target.path : behind.replace(/^(?:dns|ipv4|ipv6):(?:\/\/[^/]*\/)?/, '');
    const host = experimental.splitHostPort(authority)?.host ?? authority;
    return {
      connect: async (socket) => ({ socket: await this.#secure(socket, host), secure: true }),
      waitForReady: async () => {},
      getCallCredentials: () => callCredentials,
      destroy() {},
    };
  }

  #secure(socket: Socket, host: string): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const secured = connect({
        socket,
        host,
        servername: serverName(host),
        ALPNProtocols: ['h2'],
        ...this.#tls.get(),
      });
      secured.once('secureConnect', () => resolve(secured));
      secured.on('error', reject);
    });
  }
}
