import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { Renewed } from '../../renewed-files.ts';
import { bearerCheck, cannotListen, type ListenOptions, type ServerTls } from '../http/index.ts';
import { Slots } from '../http/slots.ts';
import type { ReceiverSink } from '../receiver.ts';
import { decodeProtobuf } from './decode-protobuf.ts';
import { responseOf } from './http.ts';
import type { ReceivedGroup } from './request.ts';
import { take } from './take.ts';

const MOST_REQUESTS = 8;
/** For requests at work when it is closed. */
const CLOSE_MILLIS = 500;
/** How often the files of `tls` are looked at. */
const RENEWAL_MILLIS = 1000;

const bytes = (message: Buffer): Buffer => message;
/** Messages are read and written here: this is no place for a second implementation of protobuf. */
const SERVICE = {
  export: {
    path: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const satisfies ServiceDefinition;

export interface OtlpGrpcOptions extends ListenOptions {
  readonly key: string;
  readonly maxRequestBytes: number;
}

/** OTLP over gRPC. The library keeps the limit on the size of a message, also of one that is compressed, and tells its sender. */
export class GrpcServer {
  readonly #server: Server;
  readonly #sink: ReceiverSink;
  readonly #mayEnter: (authorization: string | undefined) => boolean;
  readonly #slots = new Slots(MOST_REQUESTS);
  #port = 0;
  #renewal: NodeJS.Timeout | undefined;

  private constructor({ bearerToken, maxRequestBytes }: OtlpGrpcOptions, sink: ReceiverSink) {
    this.#sink = sink;
    this.#mayEnter = bearerCheck(bearerToken);
    this.#server = new Server({ 'grpc.max_receive_message_length': maxRequestBytes });
    this.#server.addService(SERVICE, {
      export: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => void this.#answer(call, reply),
    });
  }

  /** @throws ShikraError CONFIG_INVALID or ADDRESS_IN_USE */
  static async open(options: OtlpGrpcOptions, sink: ReceiverSink): Promise<GrpcServer> {
    const server = new GrpcServer(options, sink);
    const { host, port, key, tls } = options;
    const renewed = tls && new TlsServerCredentials(tls);
    const credentials = renewed ?? ServerCredentials.createInsecure();
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    server.#port = await new Promise<number>((resolve, reject) => {
      server.#server.bindAsync(address, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    }).catch((error: Error) => {
      throw cannotListen(options, key, error);
    });
    // The server is not seen beginning a connection: it is looked before there may be many.
    if (renewed !== undefined) server.#renewal = setInterval(() => renewed.renew(), RENEWAL_MILLIS).unref();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const timer = setTimeout(() => this.#server.forceShutdown(), CLOSE_MILLIS);
    await closed;
    clearTimeout(timer);
  }

  async #answer(call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): Promise<void> {
    const sender = call.getPeer().replace(/:\d+$/, '');
    const refuse = (code: status, details: string) => reply({ code, details, metadata: new Metadata() });
    const [authorization] = call.metadata.get('authorization');
    if (!this.#mayEnter(authorization?.toString())) {
      this.#sink.count('unauthorized');
      this.#sink.tell(sender, 'expected the bearer token of this receiver');
      refuse(status.UNAUTHENTICATED, 'expected the bearer token of this receiver');
      return;
    }
    try {
      await this.#slots.hold(async () => this.#take(call.request, sender, reply, refuse));
    } catch (error) {
      refuse(status.INTERNAL, (error as Error).message);
    }
  }

  async #take(
    request: Buffer,
    sender: string,
    reply: sendUnaryData<Buffer>,
    refuse: (code: status, details: string) => void,
  ): Promise<void> {
    let groups: ReceivedGroup[];
    try {
      groups = decodeProtobuf(request);
    } catch (error) {
      const message = `no ExportLogsServiceRequest: ${(error as Error).message}`;
      this.#sink.count('malformed');
      this.#sink.tell(sender, message);
      refuse(status.INVALID_ARGUMENT, message);
      return;
    }
    const taken = await take(groups, sender, this.#sink);
    if (taken === 'unavailable') refuse(status.UNAVAILABLE, 'the detections could not be stored; send them again');
    else reply(null, responseOf(taken.rejected, taken.message).protobuf);
  }
}

/** Connections that begin after a renewal are spoken to with the new certificate. */
class TlsServerCredentials extends ServerCredentials {
  readonly #tls: Renewed<ServerTls>;
  #inUse: ServerTls;

  constructor(tls: Renewed<ServerTls>) {
    const inUse = tls.get();
    super({ requestCert: inUse.ca !== undefined, rejectUnauthorized: true }, inUse);
    this.#tls = tls;
    this.#inUse = inUse;
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  renew(): void {
    const now = this.#tls.get();
    if (now === this.#inUse) return;
    this.#inUse = now;
    this.updateSecureContextOptions(now);
  }
}
