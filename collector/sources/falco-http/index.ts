import type { Detection } from '../../detection/detection.ts';
import { HttpServer, isOpenToAll, type ListenOptions, type Reply } from '../http/index.ts';
import { type DetectionReceiver, outcomeOfStatus, type ReceiverSink } from '../receiver.ts';
import { AlertError, parseAlert } from './alert.ts';

export interface FalcoHttpOptions extends ListenOptions {
  /** The receiver's key in the configuration, for messages. */
  readonly key: string;
  readonly path: string;
  readonly maxAlertBytes: number;
}

/** Each node of a fleet keeps one connection. */
const MOST_CONNECTIONS = 4096;
/** Alerts are small, and wait for a write to the disk together. */
const MOST_ALERTS = 64;

/** What asks whether Falcosidekick lives, asks the same of this: its Helm chart's probes among them. */
const PAGES = {
  '/ping': { contentType: 'text/plain; charset=utf-8', text: 'pong\n' },
  '/healthz': { contentType: 'application/json', text: '{"status": "ok"}' },
};

/**
 * Takes the alerts of Falco (`http_output`), where Falcosidekick would listen. It answers 200 when the alert is stored. Falco does not send again what was
 * refused, so a refusal is told and counted here.
 */
export class FalcoHttpReceiver implements DetectionReceiver {
  readonly #options: FalcoHttpOptions;
  #server: HttpServer | undefined;

  constructor(options: FalcoHttpOptions) {
    this.#options = options;
  }

  async begin(sink: ReceiverSink): Promise<void> {
    const { key, path, maxAlertBytes } = this.#options;
    const route = {
      path,
      contentTypes: ['application/json'],
      typeRemedy: 'set json_output: true in falco.yaml',
      gzip: true,
      maxBytes: maxAlertBytes,
      tooLarge: { what: 'an alert', remedy: `raise ${key}.max_alert_size` },
      take: (body: Buffer, { sender }: { sender: string }) => this.#take(sink, body.toString(), sender),
      onRefused: (status: number, message: string, sender: string) => {
        sink.count(outcomeOfStatus(status));
        sink.tell(sender, message);
      },
    };
    const limits = { mostBodies: MOST_ALERTS, mostConnections: MOST_CONNECTIONS };
    this.#server = await HttpServer.open(this.#options, { key, routes: [route], pages: PAGES, ...limits });
    sink.logger.info({ url: `${this.#server.origin}${path}` }, 'alerts of Falco are taken');
    if (isOpenToAll(this.#options))
      sink.logger.warn('whoever reaches the port can make alerts up: set tls.client_ca_file or bearer_token_file');
  }

  async stop(): Promise<void> {
    await this.#server?.close();
  }

  async #take(sink: ReceiverSink, text: string, sender: string): Promise<Reply> {
    let detection: Detection;
    try {
      detection = parseAlert(text, sender);
    } catch (error) {
      if (!(error instanceof AlertError)) throw error;
      sink.count(error.outcome);
      sink.tell(sender, error.message);
      return { status: 400, body: { error: error.message } };
    }
    const isOnItsWay = sink.emit(detection);
    if ((await sink.stored()) && isOnItsWay) {
      sink.count('accepted');
      return { status: 200, body: { uuid: detection.uuid } };
    }
    sink.count('unavailable');
    const error = 'the alert could not be stored yet; send it again';
    return { status: 503, body: { error }, headers: { 'retry-after': '5' } };
  }
}
