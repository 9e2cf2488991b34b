import { encode } from '../../protobuf.ts';
import { HttpServer, type ListenOptions, type Reply, type Route } from '../http/index.ts';
import { outcomeOfStatus, type ReceiverSink } from '../receiver.ts';
import { decodeJson } from './decode-json.ts';
import { decodeProtobuf } from './decode-protobuf.ts';
import type { ReceivedGroup } from './request.ts';
import { take } from './take.ts';

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
const MOST_REQUESTS = 8;
const MOST_CONNECTIONS = 4096;

/** Codes of google.rpc. */
const INVALID_ARGUMENT = 3;
const UNAVAILABLE = 14;

export interface OtlpHttpOptions extends ListenOptions {
  readonly key: string;
  readonly maxRequestBytes: number;
}

/** OTLP over HTTP, after https://opentelemetry.io/docs/specs/otlp/: the answer has the encoding of the request. @throws ShikraError */
export function openHttp(options: OtlpHttpOptions, remedy: string, sink: ReceiverSink): Promise<HttpServer> {
  const route: Route = {
    path: '/v1/logs',
    contentTypes: [PROTOBUF, JSON_TYPE],
    gzip: true,
    maxBytes: options.maxRequestBytes,
    tooLarge: { what: 'a request', remedy },
    take: (body, { sender, contentType }) => answer(body, contentType, sender, sink),
    refusal: (status, message, contentType) => statusReply(status, INVALID_ARGUMENT, message, contentType),
    onRefused: (status, message, sender) => {
      sink.count(outcomeOfStatus(status));
      sink.tell(sender, message);
    },
  };
  const limits = { mostBodies: MOST_REQUESTS, mostConnections: MOST_CONNECTIONS };
  return HttpServer.open(options, { key: options.key, routes: [route], ...limits });
}

async function answer(body: Buffer, contentType: string, sender: string, sink: ReceiverSink): Promise<Reply> {
  let groups: ReceivedGroup[];
  try {
    groups = contentType === JSON_TYPE ? decodeJson(body) : decodeProtobuf(body);
  } catch (error) {
    const message = `no ExportLogsServiceRequest: ${(error as Error).message}`;
    sink.count('malformed');
    sink.tell(sender, message);
    return statusReply(400, INVALID_ARGUMENT, message, contentType);
  }
  const taken = await take(groups, sender, sink);
  if (taken === 'unavailable') {
    const reply = statusReply(503, UNAVAILABLE, 'the detections could not be stored; send them again', contentType);
    return { ...reply, headers: { ...reply.headers, 'retry-after': '5' } };
  }
  return { status: 200, ...encoded(contentType, responseOf(taken.rejected, taken.message)) };
}

interface Response {
  readonly json: object;
  readonly protobuf: Buffer;
}

/** An ExportLogsServiceResponse. */
export function responseOf(rejected: number, message: string): Response {
  if (rejected === 0) return { json: {}, protobuf: Buffer.alloc(0) };
  return {
    json: { partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: message } },
    protobuf: encode({ 1: encode({ 1: rejected, 2: message }) }),
  };
}

/** A google.rpc.Status, as the specification wants it for every refusal. */
function statusReply(status: number, code: number, message: string, contentType: string): Reply {
  return { status, ...encoded(contentType, { json: { code, message }, protobuf: encode({ 1: code, 2: message }) }) };
}

function encoded(contentType: string, { json, protobuf }: Response): Pick<Reply, 'body' | 'headers'> {
  return contentType === PROTOBUF ? { body: protobuf, headers: { 'content-type': PROTOBUF } } : { body: json };
}
