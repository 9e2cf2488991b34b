import { z } from 'zod';
import { containersConfigSchema } from '../containers/config.ts';
import { bytes, duration } from '../pipeline/units.ts';
import { falcoHttpReceiverSchema } from '../sources/falco-http/config.ts';
import { guardKeys, listenKeys } from '../sources/http/config.ts';
import { otlpReceiverSchema } from '../sources/otlp/config.ts';
import type { ComponentRegistry } from './component.ts';

/** The rule set that comes with Shikra, as users name it in `rules_files`. */
export const BUNDLED_RULES = 'bundled';

/** Which rules a choice is about: those of the name, and those with the tag. */
const chosenRules = z
  .strictObject({
    rule: z.string().min(1).optional().describe('The name of a rule; `*` stands for any text: `Shell*`.'),
    tag: z.string().min(1).optional().describe('A tag, whole: `maturity_sandbox`.'),
  })
  .refine(({ rule, tag }) => rule !== undefined || tag !== undefined, 'expected `rule`, `tag` or both');

const ruleChoice = z.union([z.strictObject({ enable: chosenRules }), z.strictObject({ disable: chosenRules })]);

export const DEFAULT_RULES_FILES: readonly string[] = [BUNDLED_RULES, '/etc/shikra/rules.d'];
const rulesFiles = z.array(z.string().min(1)).min(1);
const ruleChoices = z.array(ruleChoice);
const ruleMatching = z
  .enum(['first', 'all'])
  .default('first')
  .describe('Whether an event that several rules match makes one detection, of the first of them, or one of each.');

export const kernelReceiverSchema = z.strictObject({
  rules_files: rulesFiles
    .default([...DEFAULT_RULES_FILES])
    .describe(
      'Rule files and folders of them, in the order in which they are loaded; a later file may override an earlier one. `bundled` stands for the rules that come with Shikra. A relative path starts at the folder of the configuration file. A folder that does not exist is empty.',
    ),
  rules: ruleChoices
    .default([])
    .describe(
      'Switches rules on and off, in order, after all files are loaded and whatever `enabled` says there: `[{disable: {tag: network}}, {enable: {rule: "Netcat*"}}]`.',
    ),
  rule_matching: ruleMatching,
  ring_preset: z
    .int()
    .min(1)
    .max(10)
    .default(4)
    .describe(
      'Size of each ring between the kernel and Shikra: preset n is 2^(n-1) MiB, so 4 is 8 MiB; beside it stands one of an eighth of that, and at least 256 KiB, for what processes are told by. Larger rings bear longer bursts without loss.',
    ),
  cpus_per_ring: z
    .int()
    .min(0)
    .default(1)
    .describe(
      'How many CPUs share one ring of each kind; 0 is one for all. Sharing saves memory on machines with many CPUs, and costs some contention.',
    ),
  process_table_entries: z
    .int()
    .min(1024)
    .max(4_194_304)
    .default(65_536)
    .describe('How many processes are remembered. The oldest exited ones go first; what is pushed out is counted.'),
  capture_env: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Names of environment variables whose values are recorded when a process starts (`proc.env`). None by default: they often hold secrets.',
    ),
  canary_interval: duration()
    .prefault('5s')
    .refine((millis) => millis === 0 || millis >= 1000, 'expected 1s or more, or 0s')
    .describe(
      'How often the agent does something harmless itself that every attached program must tell of: calls by numbers that mean nothing, an operation of io_uring that does nothing, a process (`shikra-canary`) that ends at once. No rule sees it. What does not come back twice in a row makes the agent unready and is a detection. `0s`: never, and what the kernel counts for the programs is not read.',
    ),
  program_statistics: z
    .boolean()
    .default(false)
    .describe(
      'Has the kernel count how often the BPF programs run and for how long (`shikra_probe_runs_total`, `shikra_probe_run_seconds_total`). It does so for all BPF programs of the machine, and makes every system call some 100 ns longer. Needs CAP_SYS_ADMIN, and canaries: they bring the counts.',
    ),
  containers: containersConfigSchema
    .prefault({})
    .describe('How the names of containers and pods are found: container engines are asked at their sockets.'),
});

export type KernelReceiverConfig = z.infer<typeof kernelReceiverSchema>;

const webhookSchema = z.strictObject({
  ...listenKeys(9765),
  path: z
    .string()
    .regex(/^\/[^?#\s]*$/, 'expected a path such as /k8s-audit')
    .default('/k8s-audit')
    .describe('The path that is posted to.'),
  max_batch_size: bytes()
    .prefault('12MiB')
    .describe('A larger batch is refused. 20 % above what API servers send unless told otherwise.'),
  ...guardKeys(' (`token` of the user in its kubeconfig)'),
});

export const k8sAuditReceiverSchema = z
  .strictObject({
    files: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "Audit logs of API servers on this machine, one JSON event a line (kube-apiserver's `--audit-log-path`). Each is followed over rotation and restarts; one that does not exist yet is waited for.",
      ),
    webhook: webhookSchema
      .optional()
      .describe(
        'Takes the batches that API servers send (`--audit-webhook-config-file`). `webhook: {}` for the defaults.',
      ),
    start_at: z
      .enum(['end', 'beginning'])
      .default('end')
      .describe(
        'Where a log is begun that was never read before. Afterwards it is gone on with where it was left. One that appears while the agent runs is read from its beginning.',
      ),
    positions_file: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Where is kept how far each log was read. Default: `k8s_audit.positions.json` in the folder of `service.store.path`; with a store in memory, nowhere.',
      ),
    max_event_size: bytes()
      .prefault('4MiB')
      .describe(
        'A longer event is left out, counted and told. Events of this size keep others waiting while they are read.',
      ),
    rules_files: rulesFiles
      .optional()
      .describe(
        'As for `kernel`: rules on other events are left aside. Default: those of the `kernel` receiver, if one is in use, else `[bundled, /etc/shikra/rules.d]`.',
      ),
    rules: ruleChoices
      .optional()
      .describe(
        'Switches rules on and off, as for `kernel`. Default: as the `kernel` receiver in use says, else none.',
      ),
    rule_matching: ruleMatching,
  })
  .refine(({ files, webhook }) => files.length > 0 || webhook !== undefined, 'expected `files`, `webhook` or both');

export type K8sAuditReceiverConfig = z.infer<typeof k8sAuditReceiverSchema>;

export const receivers = {
  kernel: { configSchema: kernelReceiverSchema },
  k8s_audit: { configSchema: k8sAuditReceiverSchema },
  falco_http: { configSchema: falcoHttpReceiverSchema },
  otlp: { configSchema: otlpReceiverSchema },
} as const satisfies ComponentRegistry['receivers'];
