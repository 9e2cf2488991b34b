import { z } from 'zod';

export const enrichmentConfigSchema = z.strictObject({
  host: z
    .boolean()
    .default(true)
    .describe('Add host.name and host.id to records whose resource does not name the host.'),
  container: z.boolean().default(true).describe("Find container.id in the process's cgroup path."),
  users: z
    .boolean()
    .default(true)
    .describe(
      'Find the names of users and groups on the host. A container has users of its own: its processes are left alone.',
    ),
  host_root: z
    .string()
    .default('/')
    .describe("Where the host's file system is mounted, for an agent that itself runs in a container."),
});

export type EnrichmentConfig = z.infer<typeof enrichmentConfigSchema>;
