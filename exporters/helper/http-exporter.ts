import type { StoredDetection } from '../store/stored-detection.ts';
import type { DeliveringExporter } from './exporter.ts';
import { HttpClient, type HttpRequest, type HttpResponse } from './http-client.ts';
import { type ExportOutcome, statusOutcome } from './outcome.ts';
import type { Secret } from './secret.ts';
import type { DeliverySettings } from './settings.ts';
import type { Tls } from './tls.ts';

/** What makes one HTTP exporter another: how a batch becomes a request, and what its receiver's answers mean. */
export interface HttpExporterSettings {
  readonly delivery: Partial<DeliverySettings>;
  /** Never in a message, whoever makes it. */
  readonly secrets: readonly (Secret | undefined)[];
  readonly tls?: Tls;
  /**
   * May throw: the batch is then tried again. Called again for every try. Several requests are one to each of several peers; the batch is
   * delivered when one of them takes it.
   */
  request(batch: readonly StoredDetection[]): HttpRequest | readonly HttpRequest[];
  /** Default: by the status alone, {@link statusOutcome}. */
  outcome?(response: HttpResponse, batch: readonly StoredDetection[]): ExportOutcome;
  /** Takes note of what was delivered. */
  delivered?(batch: readonly StoredDetection[], response: HttpResponse): void;
  /** Takes note of how it went with a peer. */
  answered?(request: HttpRequest, outcome: ExportOutcome): void;
  start?(send: (request: HttpRequest) => Promise<HttpResponse>): void;
  stop?(): void;
}

const LONGEST_REASON = 300;
const OWN_REQUEST_MILLIS = 10_000;
/** What the other peers have when one has taken the batch: one that hangs must not hold up the next batch. */
const PEER_GRACE_MILLIS = 2000;

/** Sends batches over HTTP. Everything else (order, retries, limits, dead letters) is the helper's delivery. */
export function httpExporter(settings: HttpExporterSettings): DeliveringExporter {
  let client: HttpClient | undefined;
  const redact = (text: string) => redacted(text, settings.secrets);

  async function send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    if (client === undefined) throw new Error('the exporter is not started');
    const response = await client.send(request, signal);
    return { ...response, body: redact(response.body) };
  }

  async function attempt(
    request: HttpRequest,
    batch: readonly StoredDetection[],
    signal: AbortSignal,
  ): Promise<ExportOutcome> {
    const outcome = await send(request, signal).then(
      (response) => {
        const read = settings.outcome?.(response, batch) ?? responseOutcome(response);
        if (read.status === 'success') settings.delivered?.(batch, response);
        return read;
      },
      (error: unknown): ExportOutcome => ({ status: 'retryable', reason: redact(messageOf(error)) }),
    );
    settings.answered?.(request, outcome);
    return outcome;
  }

  return {
    kind: 'delivering',
    delivery: settings.delivery,
    async start() {
      if (client !== undefined) return;
      client = new HttpClient(settings.tls);
      settings.start?.((request) => send(request, AbortSignal.timeout(OWN_REQUEST_MILLIS)));
    },
    async export(batch, signal) {
      try {
        const requests = [settings.request(batch)].flat();
        if (requests.length === 1) return await attempt(requests[0]!, batch, signal);
        const enough = new AbortController();
        const outcomes = requests.map(async (request) => {
          const outcome = await attempt(request, batch, AbortSignal.any([signal, enough.signal]));
          if (outcome.status === 'success') setTimeout(() => enough.abort(), PEER_GRACE_MILLIS).unref();
          return outcome;
        });
        return best(await Promise.all(outcomes));
      } catch (error) {
        return { status: 'retryable', reason: redact(messageOf(error)) };
      }
    },
    async shutdown() {
      settings.stop?.();
      client?.close();
      client = undefined;
    },
  };
}

/** What one peer takes is delivered; as long as one may take it later, it is worth another try. */
function best(outcomes: readonly ExportOutcome[]): ExportOutcome {
  const of = (status: ExportOutcome['status']) => outcomes.find((outcome) => outcome.status === status);
  return of('success') ?? of('retryable') ?? of('permanent')!;
}

/** By the status; the reason is the beginning of the answer. */
export function responseOutcome(response: HttpResponse): ExportOutcome {
  return statusOutcome(response.status, reasonOf(response), response.headers['retry-after']);
}

/** `HTTP 400 invalid_payload`, on one line. */
export function reasonOf({ status, body }: HttpResponse, text = body): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a receiver's words must not steer a terminal
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  return `HTTP ${status} ${line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON)}...` : line}`.trim();
}

/** An answer as JSON; undefined if it is none. */
export function jsonOf(response: HttpResponse): unknown {
  try {
    return JSON.parse(response.body);
  } catch {
    return undefined;
  }
}

function redacted(text: string, secrets: readonly (Secret | undefined)[]): string {
  let result = text;
  for (const secret of secrets) {
    const value = currentValue(secret);
    for (const part of value === undefined ? [] : partsOf(value)) result = result.replaceAll(part, '***');
  }
  return result;
}

const SHORTEST_SECRET = 6;
/** Shorter parts of an address are words. */
const SHORTEST_PART = 12;

/** Of an address, also what is secret in it: a receiver may repeat the path alone. */
function partsOf(secret: string): string[] {
  const url = URL.parse(secret);
  const parts = url === null ? [] : [...url.pathname.split('/'), ...url.searchParams.values()];
  return [secret, ...parts.filter((part) => part.length >= SHORTEST_PART)].filter(
    ({ length }) => length >= SHORTEST_SECRET,
  );
}

function currentValue(secret: Secret | undefined): string | undefined {
  try {
    return secret?.get();
  } catch {
    return undefined; // its file is gone; the request says so
  }
}

/** Of several addresses that were tried, what each had to say. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message || error.name : String(error);
}
