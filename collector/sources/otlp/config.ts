import { z } from 'zod';
import { bytes } from '../../pipeline/units.ts';
import { guardKeys, listenKeys } from '../http/config.ts';

export const otlpReceiverSchema = z
  .strictObject({
    grpc: z
      .strictObject({ ...listenKeys(4317), ...guardKeys(' as `authorization: Bearer`') })
      .optional()
      .describe('Takes OTLP over gRPC. `grpc: {}` for the defaults.'),
    http: z
      .strictObject({ ...listenKeys(4318), ...guardKeys(' as `Authorization: Bearer`') })
      .optional()
      .describe('Takes OTLP over HTTP at /v1/logs, as protobuf or JSON. `http: {}` for the defaults.'),
    max_request_size: bytes()
      .prefault('4MiB')
      .describe('A larger request is refused, also one that is larger when it is unpacked.'),
  })
  .refine(({ grpc, http }) => grpc !== undefined || http !== undefined, 'expected `grpc`, `http` or both');

export type OtlpReceiverConfig = z.infer<typeof otlpReceiverSchema>;
