import { HttpServer, isOpenToAll, type ListenOptions, type Reply } from '../http/index.ts';
import type { AuditProblem } from './parse.ts';

export interface AuditWebhookOptions extends ListenOptions {
  readonly path: string;
  readonly maxBatchBytes: number;
}

/** What became of a batch. `unavailable`: its detections are not on disk, it should be sent again. */
export type BatchOutcome =
  | 'unavailable'
  | { readonly accepted: number; readonly rejected: number; readonly problems: readonly AuditProblem[] };

type Take = (text: string, sender: string) => Promise<BatchOutcome>;

export const WEBHOOK_KEY = 'receivers.k8s_audit.webhook';
/** An API server sends one after the other. */
const MOST_BATCHES = 4;
const MOST_CONNECTIONS = 64;

/**
 * Takes the batches that API servers send (`--audit-webhook-config-file`) over HTTP or HTTPS. It answers 200 when the detections are stored; anything else makes an
 * API server send the batch again.
 */
export class AuditWebhook {
  readonly #server: HttpServer;
  readonly #options: AuditWebhookOptions;

  private constructor(server: HttpServer, options: AuditWebhookOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** @throws ShikraError CONFIG_INVALID or ADDRESS_IN_USE */
  static async open(options: AuditWebhookOptions, take: Take): Promise<AuditWebhook> {
    const { path, maxBatchBytes } = options;
    const route = {
      path,
      contentTypes: ['application/json'],
      gzip: false,
      maxBytes: maxBatchBytes,
      tooLarge: {
        what: 'a batch',
        remedy: `lower --audit-webhook-batch-max-size, or raise ${WEBHOOK_KEY}.max_batch_size`,
      },
      take: async (body: Buffer, { sender }: { sender: string }) => replyOf(await take(body.toString(), sender)),
    };
    const limits = { mostBodies: MOST_BATCHES, mostConnections: MOST_CONNECTIONS };
    return new AuditWebhook(await HttpServer.open(options, { key: WEBHOOK_KEY, routes: [route], ...limits }), options);
  }

  get url(): string {
    return `${this.#server.origin}${this.#options.path}`;
  }

  get isOpenToAll(): boolean {
    return isOpenToAll(this.#options);
  }

  /** Lets requests at work end. Calling it twice is fine. */
  close(): Promise<void> {
    return this.#server.close();
  }
}

function replyOf(outcome: BatchOutcome): Reply {
  if (outcome === 'unavailable') {
    const error = 'the detections could not be stored; send the batch again';
    return { status: 503, body: { error }, headers: { 'retry-after': '5' } };
  }
  const { accepted, rejected, problems } = outcome;
  const reasons = problems.map(({ place, message }) => (place === '' ? message : `${place}: ${message}`));
  // One bad event must not bring a batch again and again: it is told here and in the log.
  if (accepted === 0 && rejected > 0) return { status: 400, body: { error: reasons.join('; ') } };
  return { status: 200, body: rejected === 0 ? { accepted } : { accepted, rejected, problems: reasons } };
}
