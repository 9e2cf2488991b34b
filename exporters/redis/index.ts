import { z } from 'zod';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { type ExportOutcome, SUCCESS } from '../helper/outcome.ts';
import { readSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { RedisConnection, RedisError } from './connection.ts';

export const redisConfigSchema = z.strictObject({
  host: z.string().min(1).describe('The Redis or Valkey server.'),
  port: z.int().min(1).max(65535).default(6379).describe('Its port.'),
  use_tls: z.boolean().default(false).describe('Whether the connection is encrypted.'),
  tls: tlsConfigSchema.describe('With `use_tls`.'),
  username: z
    .string()
    .min(1)
    .optional()
    .describe('A user of the access control lists; Redis calls the first one `default`.'),
  ...secretKeys('password', "The user's password"),
  database: z.int().min(0).default(0).describe('The number of the database.'),
  stream: z.string().min(1).default('shikra').describe('The stream that detections are added to.'),
  max_length: z
    .int()
    .min(1)
    .default(100_000)
    .describe('The stream is kept to about so many entries; the oldest go first.'),
  ...batchedDeliveryKeys(100, 1000),
});

export type RedisConfig = z.infer<typeof redisConfigSchema>;

export const component = { configSchema: redisConfigSchema, signals: ['logs'], create: createRedisExporter } as const;

/** Detections as entries of a stream (XADD). A batch is a transaction: it is there whole, or not at all. */
export function createRedisExporter(config: RedisConfig, context: ExporterContext): DeliveringExporter {
  const { id } = context;
  const password = readSecret(config, 'password', id);
  const connection = new RedisConnection({
    address: { host: config.host, port: config.port },
    tls: config.use_tls ? readTls(config.tls, context) : undefined,
    greeting: () => greetingOf(config, password?.get()),
  });
  let isStarted = false;
  return {
    kind: 'delivering',
    delivery: deliverySettings(config),
    async start() {
      isStarted = true;
    },
    async export(batch, signal) {
      if (!isStarted) return { status: 'retryable', reason: 'the exporter is not started' };
      try {
        await connection.run([['MULTI'], ...batch.map((item) => addition(item, config)), ['EXEC']], signal);
        return SUCCESS;
      } catch (error) {
        connection.close();
        return outcomeOf(error as Error);
      }
    },
    async shutdown() {
      isStarted = false;
      connection.close();
    },
  };
}

function greetingOf({ username, database }: RedisConfig, password: string | undefined): string[][] {
  return [
    ...(password === undefined ? [] : [['AUTH', ...(username === undefined ? [] : [username]), password]]),
    ...(database === 0 ? [] : [['SELECT', String(database)]]),
  ];
}

function addition({ detection }: StoredDetection, { stream, max_length }: RedisConfig): string[] {
  const { uuid, rule, priority, source } = detection;
  const fields = ['uid', uuid, 'rule', rule, 'priority', priority, 'source', source, 'json', toFalcoJson(detection)];
  return ['XADD', stream, 'MAXLEN', '~', String(max_length), '*', ...fields];
}

/** Errors that speak of this server's state and not of the request. Others are final: a key of another type, no permission. */
const MAY_PASS = /^(LOADING|BUSY|OOM|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|UNKILLABLE)\b/;

function outcomeOf(error: Error): ExportOutcome {
  const reason = error.message;
  if (!(error instanceof RedisError) || MAY_PASS.test(reason)) return { status: 'retryable', reason };
  return { status: 'permanent', reason, splittable: false };
}
