import { z } from 'zod';

const count = z.int().min(0);

/** Offsets by struct and member, numbers by enumeration and name: where things stand in the records, by the probe that wrote them. */
const layoutSchema = z.record(z.string(), z.record(z.string(), z.number()));

/** What a replay has to know of the machine and of the recorder. */
export const headerSchema = z.object({
  /** Of Shikra. */
  version: z.string(),
  /** RFC 3339. */
  startedAt: z.string(),
  hostname: z.string(),
  bootId: z.string(),
  kernel: z.string(),
  arch: z.string(),
  /** From the kernel's time to the wall clock at the start, in nanoseconds. */
  clockOffsetNs: z.string().regex(/^-?\d{1,19}$/),
  /** What was recorded. */
  eventTypes: z.array(z.string()),
  captureEnv: z.array(z.string()),
  processTableEntries: count.min(1),
  hasContainerEngines: z.boolean(),
  containerHoldMillis: z.number().min(0),
  layout: layoutSchema,
});

export type RecordingHeader = Readonly<z.infer<typeof headerSchema>>;

export const namesSchema = z.object({
  users: z.record(z.string(), z.string()),
  groups: z.record(z.string(), z.string()),
});
export type RecordedNames = z.infer<typeof namesSchema>;

export const domainNamesSchema = z.record(z.string(), z.array(z.string()));

export const resolvedSchema = z
  .object({ path: z.string().optional(), path2: z.string().optional() })
  .transform(({ path, path2 }) => ({ path, path2 }));

export const lossesSchema = z.record(z.string(), count);

/** What the recorder said when it ended. */
export const summarySchema = z.object({ events: count, seconds: z.number(), losses: lossesSchema });
export type RecordingSummary = Readonly<z.infer<typeof summarySchema>>;
