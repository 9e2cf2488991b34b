import { z } from 'zod';
import type { ContainerNews } from '../containers/news.ts';

const maybeText = z.string().optional();
const labels = z.record(z.string(), z.string());
const request = z.object({ id: z.string(), namespace: maybeText, owner: z.number().optional() });

const metadata = z.object({
  id: z.string(),
  namespace: maybeText,
  type: z.string(),
  name: maybeText,
  image: maybeText,
  imageId: maybeText,
  imageRepository: maybeText,
  imageTag: maybeText,
  imageDigest: maybeText,
  privileged: z.boolean().optional(),
  hostPid: z.boolean().optional(),
  hostNetwork: z.boolean().optional(),
  hostIpc: z.boolean().optional(),
  mounts: z.array(
    z.object({
      source: z.string(),
      destination: z.string(),
      mode: z.string(),
      writable: z.boolean(),
      propagation: z.string(),
    }),
  ),
  ip: maybeText,
  cniJson: maybeText,
  healthcheck: z.array(z.string()).optional(),
  startedNs: z
    .string()
    .regex(/^-?\d{1,30}$/)
    .transform(BigInt),
  labels,
  pod: z
    .object({
      name: z.string(),
      namespace: z.string(),
      uid: z.string(),
      sandboxId: maybeText,
      labels,
      containerName: maybeText,
    })
    .optional(),
});

const news = z.discriminatedUnion('type', [
  z.object({ type: z.literal('engines'), present: z.boolean() }),
  z.object({ type: z.literal('known'), metadata, owner: z.number().optional() }),
  z.object({ type: z.literal('unknown'), request }),
  z.object({ type: z.literal('gone'), request }),
]);

/** As JSON, with times as text: they are more than a double holds. */
export function newsToJson(told: ContainerNews): string {
  return JSON.stringify(told, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

/** @throws Error if that is no news */
export function newsFromJson(json: string): ContainerNews {
  return news.parse(JSON.parse(json)) as ContainerNews;
}
