/** The agent that rules are fired at: one for each file of tests that imports this. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bundledRulesPath, loadRules, readRuleFiles } from '../../rules/index.ts';
import { AgentProcess, type Alert } from './agent-process.ts';
import { Containers, noContainers } from './containers.ts';
import { buildTrigger, TRIGGER } from './trigger.ts';

/** Which file of tests fires which rules. */
const RULES = {
  files: [
    'Password database read by an untrusted program',
    'Private key or cloud credential read',
    'Write below a binary folder',
    'Login or start-up configuration changed',
    'Write below etc',
    'Setuid bit set',
    'Setgid bit set',
    'System log emptied or removed',
    'Log emptied or removed',
  ],
  processes: [
    'Reverse shell',
    'Crypto miner started by name',
    'Crypto miner started for a pool',
    'Execution from memory',
    'Kernel module loaded by an unusual program',
    'Kernel module loaded',
    'Process taken over by ptrace',
    'Debugger attached to a process',
    'Namespace left or entered',
    'Container connects to an unexpected port',
    'Interactive shell in a container',
    'Package manager in a container',
  ],
};

export const withoutContainers = noContainers();
export const withoutModules =
  existsSync('/proc/modules') && existsSync('/usr/sbin/modprobe') ? false : 'this kernel loads no modules';
export const missing = (program: string) => (existsSync(program) ? false : `no ${program}`);

export let agent: AgentProcess;
export let containers: Containers;
export let folder: string;
/** A part of names that no other test, and nobody else, uses. */
export let token: string;
export const fired = new Set<string>();

/** The files that this is about: of the rules of the others some tell of the same events too. */
const RULES_FILES = ['shikra_rules', 'yielding'].map((name) => `${bundledRulesPath()}/${name}.yaml`);

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-rules-'));
  token = `shikra-test-${process.pid}`;
  if (!withoutContainers) {
    containers = new Containers();
    containers.add(TRIGGER, '/bin/trigger');
    containers.add(TRIGGER, '/usr/bin/sudo');
    containers.add(TRIGGER, '/usr/bin/runc');
    containers.add(TRIGGER, '/sbin/apk');
  }
  // rings that bear what else may run on this machine: with an event lost a test fails
  agent = await AgentProcess.start({ bundled: RULES_FILES, receiver: { ring_preset: 6 } });
});

after(async () => {
  await agent?.close();
  containers?.close();
  rmSync(folder, { recursive: true });
});

export function run(program: string, ...args: string[]): void {
  const { error, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000, cwd: folder });
  if (error) throw new Error(`${program}: ${error.message} ${stderr}`);
}

/** `act` makes exactly one detection, by this rule, and these fields are among those of its output. @returns it */
export async function detected(
  rule: string,
  priority: string,
  act: () => unknown,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<Alert> {
  const alerts = await agent.caused(act);
  assert.deepEqual(
    alerts.map((alert) => [alert.rule, alert.priority]),
    [[rule, priority]],
    JSON.stringify(alerts, null, 1),
  );
  const [alert] = alerts as [Alert];
  const seen = Object.fromEntries(Object.keys(fields).map((name) => [name, alert.output_fields[name]]));
  assert.deepEqual(seen, fields);
  fired.add(rule);
  return alert;
}

export async function fires(...expected: Parameters<typeof detected>): Promise<void> {
  await detected(...expected);
}

export async function quiet(act: () => unknown): Promise<void> {
  assert.deepEqual(
    (await agent.caused(act)).map(({ rule, output }) => `${rule}: ${output}`),
    [],
  );
}

/** A file that `act` may make, gone afterwards. */
export function away(path: string, act: (path: string) => unknown): () => void {
  return () => {
    try {
      act(path);
    } finally {
      rmSync(path, { force: true, recursive: true });
    }
  };
}

/** What holds after all tests of a file: to be called at its end. */
export function holdsAfterAll(topic: keyof typeof RULES): void {
  test('an alert is one line of JSON with the keys of Falco, and uuid', () => {
    assert.ok(agent.lines.length > 50);
    for (const line of agent.lines) {
      const alert = JSON.parse(line) as Alert;
      assert.deepEqual(Object.keys(alert), [
        'hostname',
        'output',
        'output_fields',
        'priority',
        'rule',
        'source',
        'tags',
        'time',
        'uuid',
      ]);
      assert.match(alert.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.match(alert.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    }
  });

  test('every rule of the files is about one of these', async () => {
    const { files } = await readRuleFiles(RULES_FILES);
    const names = loadRules(files).rules.map(({ name }) => name);
    assert.deepEqual(Object.values(RULES).flat().sort(), names.sort());
  });

  test('every rule about it was fired by a real program', () => {
    const untried = new Set(withoutModules ? ['Kernel module loaded'] : []);
    if (missing('/usr/bin/strace')) untried.add('Debugger attached to a process');
    const never = RULES[topic].filter((name) => !fired.has(name) && !untried.has(name));
    assert.deepEqual(withoutContainers ? [] : never, []);
  });

  test('the agent ends well after all that', () => agent.stop());
}
