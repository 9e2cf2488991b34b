import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentProcess, type Alert } from '../kernel/agent-process.ts';

/** What is read in the containers of one test file, and nowhere else on this machine. */
export const SECRET = `/etc/shadow-${randomBytes(4).toString('hex')}`;

const FIELDS = [
  'container.id',
  'container.full_id',
  'container.name',
  'container.type',
  'shikra.container.metadata',
  'container.image',
  'container.image.repository',
  'container.image.tag',
  'container.image.digest',
  'container.image.id',
  'container.privileged',
  'container.host_network',
  'container.host_pid',
  'container.host_ipc',
  'container.mounts',
  'container.mount[0]',
  'container.mount.dest[0]',
  'container.mount.mode[0]',
  'container.mount.propagation[0]',
  'container.mount.source[/mnt/*]',
  'container.mount.rdwr[/usr/s*]',
  'container.label.team',
  'container.labels',
  'container.start_ts',
  'container.duration',
  'container.healthcheck',
  'container.ip',
  'proc.is_container_healthcheck',
  'shikra.proc.is_host_program',
  'k8s.pod.name',
  'k8s.ns.name',
  'k8s.pod.uid',
  'k8s.pod.id',
  'k8s.pod.sandbox_id',
  'k8s.pod.full_sandbox_id',
  'k8s.pod.label[app]',
  'k8s.pod.labels',
];

const OPENED = `evt.type in (open, openat, openat2) and fd.name = ${SECRET}`;

/** Tells everything of the container that the secret was read in. */
export const READ = 'Secret read';
/** The same for one image only, of containers that are not privileged. */
export const READ_BY_IMAGE = 'Secret read by an image';
export const IMAGE = 'registry.test/team/app';

const RULES = [
  {
    rule: READ_BY_IMAGE,
    desc: 'A condition on metadata.',
    condition: `${OPENED} and container.image.repository = ${IMAGE}-watched and not container.privileged = true`,
    output: '%container.name %container.id',
    priority: 'CRITICAL',
  },
  {
    rule: READ,
    desc: 'All metadata.',
    condition: OPENED,
    output: FIELDS.map((field) => `%${field}`).join(' '),
    priority: 'WARNING',
  },
];

/** An agent with these rules that asks the engines at these sockets, and no others. */
export async function startAgent(
  sockets: Readonly<Partial<Record<'docker' | 'podman' | 'containerd' | 'cri', readonly string[]>>>,
  hold = '5s',
  options: Parameters<typeof AgentProcess.start>[0] = {},
): Promise<AgentProcess> {
  const containers = { hold, docker: [], podman: [], containerd: [], cri: [], ...sockets };
  return AgentProcess.start({ bundled: [rulesFile()], receiver: { containers }, ...options });
}

/** There as long as this process: agents notice when their rules go. */
let writtenRules: string | undefined;

function rulesFile(): string {
  if (writtenRules !== undefined) return writtenRules;
  const folder = mkdtempSync(join(tmpdir(), 'shikra-secrets-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  writtenRules = join(folder, 'secrets.yaml');
  writeFileSync(writtenRules, JSON.stringify(RULES));
  return writtenRules;
}

/** The next detection in a container: of those since `act` began. */
export async function detectionOf(agent: AgentProcess, rule: string, act: () => unknown): Promise<Alert> {
  const seen = new Set(agent.detections);
  await act();
  return agent.detection((alert) => alert.rule === rule && !seen.has(alert), LIMIT_MILLIS);
}

const LIMIT_MILLIS = 20_000;
const POLL_MILLIS = 20;

export async function until(agent: AgentProcess, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + LIMIT_MILLIS; !holds(); await sleep(POLL_MILLIS))
    if (Date.now() > end) throw new Error([...agent.log.slice(-5), ...agent.lines.slice(-5)].join('\n'));
}

/** The metrics as soon as something holds of them: they are brought up to date once a second. Throws if it never does. */
export async function metricsWhen(
  agent: AgentProcess,
  holds: (metrics: Map<string, number>) => boolean,
): Promise<Map<string, number>> {
  for (const end = Date.now() + LIMIT_MILLIS; ; await sleep(5 * POLL_MILLIS)) {
    const metrics = await agent.metrics();
    if (holds(metrics)) return metrics;
    if (Date.now() > end)
      throw new Error(`expected ${holds}\n${[...metrics].filter(([name]) => name.includes('container')).join('\n')}`);
  }
}
