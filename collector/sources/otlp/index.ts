import { type HttpServer, isOpenToAll, type ListenOptions } from '../http/index.ts';
import type { DetectionReceiver, ReceiverSink } from '../receiver.ts';
import type { GrpcServer } from './grpc.ts';

export interface OtlpReceiverOptions {
  /** The receiver's key in the configuration, for messages. */
  readonly key: string;
  readonly maxRequestBytes: number;
  readonly grpc: ListenOptions | undefined;
  readonly http: ListenOptions | undefined;
}

/** Takes the detections of other Shikras as their otlp exporters, or Collectors between, send them. It acknowledges what is stored. */
export class OtlpReceiver implements DetectionReceiver {
  readonly #options: OtlpReceiverOptions;
  #http: HttpServer | undefined;
  #grpc: GrpcServer | undefined;

  constructor(options: OtlpReceiverOptions) {
    this.#options = options;
  }

  async begin(sink: ReceiverSink): Promise<void> {
    try {
      await this.#listen(sink);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#http?.close(), this.#grpc?.close()]);
  }

  /** A protocol's code is loaded only where it is used: gRPC alone costs some 15 MB of memory. */
  async #listen(sink: ReceiverSink): Promise<void> {
    const { key, http, grpc, maxRequestBytes } = this.#options;
    if (http !== undefined) {
      const { openHttp } = await import('./http.ts');
      const remedy = `send smaller batches, or raise ${key}.max_request_size`;
      this.#http = await openHttp({ ...http, key: `${key}.http`, maxRequestBytes }, remedy, sink);
      sink.logger.info({ url: this.#http.origin }, 'OTLP is taken over HTTP');
    }
    if (grpc !== undefined) {
      const { GrpcServer } = await import('./grpc.ts');
      this.#grpc = await GrpcServer.open({ ...grpc, key: `${key}.grpc`, maxRequestBytes }, sink);
      const scheme = grpc.tls === undefined ? 'http' : 'https';
      sink.logger.info({ url: `${scheme}://${grpc.host}:${this.#grpc.port}` }, 'OTLP is taken over gRPC');
    }
    if ([http, grpc].some((listen) => listen !== undefined && isOpenToAll(listen)))
      sink.logger.warn('whoever reaches the port can make detections up: set tls.client_ca_file or bearer_token_file');
  }
}
