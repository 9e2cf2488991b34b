import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const BUSYBOX = '/usr/bin/busybox';
const APPLETS = ['sh', 'ash', 'cat', 'cp', 'true', 'sleep', 'ip', 'rm', 'mkdir', 'ls'];
const DEADLINE_MILLIS = 20_000;
const NAMESPACES = ['pid', 'mount', 'ipc', 'uts', 'network'];
/** Docker's own set is longer; what a test needs beyond this it says. */
const CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_SETGID', 'CAP_SETUID', 'CAP_KILL'];

export interface ContainerOptions {
  /** With a terminal of its own, as `docker run -t`. */
  readonly terminal?: boolean;
  /** Beside a basic set. */
  readonly capabilities?: readonly string[];
}

export interface ContainerRun {
  /** All 64 digits. */
  readonly id: string;
  readonly stdout: string;
}

/** Why no container can be made here, for a test's `skip`; false if one can. */
export function noContainers(): string | false {
  if (process.getuid?.() !== 0) return 'containers need root';
  if (!existsSync(BUSYBOX)) return `no ${BUSYBOX}`;
  return spawnSync('runc', ['--version']).status === 0 ? false : 'no runc';
}

/**
 * Real containers: runc, an overlay of an image and a layer of the container's own, own namespaces, and the cgroup that docker would give them. The image
 * has busybox and what is added to it.
 */
export class Containers {
  readonly #folder = mkdtempSync(join(tmpdir(), 'shikra-containers-'));
  readonly #image = join(this.#folder, 'image');
  readonly #running = new Set<string>();

  constructor() {
    this.add(BUSYBOX, '/bin/busybox');
    for (const name of APPLETS) symlinkSync('busybox', join(this.#image, 'bin', name));
    for (const name of ['proc', 'dev', 'sys', 'tmp', 'etc', 'root', 'var/log'])
      mkdirSync(join(this.#image, name), { recursive: true });
    writeFileSync(join(this.#image, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    writeFileSync(join(this.#image, 'etc/shadow'), 'root:*:20000:0:99999:7:::\n');
  }

  /** Puts a file into the image. */
  add(file: string, path: string): void {
    const to = join(this.#image, path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(file, to);
  }

  /** Runs a command to its end in a container of its own. */
  run(command: readonly string[], options: ContainerOptions = {}): ContainerRun {
    const { id, bundle } = this.#create(command, options);
    try {
      const run = ['runc', 'run', '--bundle', bundle, id];
      const stdout = options.terminal ? withTerminal(run) : outputOf(run);
      return { id, stdout };
    } finally {
      this.#remove(id);
    }
  }

  /** A container that runs until it is stopped. @returns its id */
  start(options: ContainerOptions = {}): string {
    const { id, bundle } = this.#create(['sleep', '600'], options);
    // its standard streams must not be pipes to this process: they would keep it waiting
    execFileSync('runc', ['run', '--detach', '--bundle', bundle, id], { stdio: 'ignore' });
    return id;
  }

  /** Runs a command in a running container, as `docker exec`. */
  exec(id: string, command: readonly string[], { terminal = false }: { terminal?: boolean } = {}): string {
    const exec = ['runc', 'exec', ...(terminal ? ['--tty'] : []), id, ...command];
    return terminal ? withTerminal(exec) : outputOf(exec);
  }

  /** The same of a command that goes on. */
  execute(id: string, command: readonly string[]): ChildProcessByStdio<Writable, Readable, null> {
    return spawn('runc', ['exec', id, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  stop(id: string): void {
    this.#remove(id);
  }

  close(): void {
    for (const id of [...this.#running]) this.#remove(id);
    rmSync(this.#folder, { recursive: true });
  }

  #create(command: readonly string[], options: ContainerOptions): { id: string; bundle: string } {
    const id = randomBytes(32).toString('hex');
    const bundle = this.#bundle(id);
    for (const name of ['upper', 'work', 'rootfs']) mkdirSync(join(bundle, name), { recursive: true });
    const layers = `lowerdir=${this.#image},upperdir=${join(bundle, 'upper')},workdir=${join(bundle, 'work')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, join(bundle, 'rootfs')]);
    this.#running.add(id);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(configuration(id, command, options)));
    return { id, bundle };
  }

  #remove(id: string): void {
    if (!this.#running.delete(id)) return;
    spawnSync('runc', ['delete', '--force', id]);
    execFileSync('umount', [join(this.#bundle(id), 'rootfs')]);
    rmSync(this.#bundle(id), { recursive: true });
  }

  #bundle(id: string): string {
    return join(this.#folder, id);
  }
}

function outputOf([program, ...args]: readonly string[]): string {
  return execFileSync(program!, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: DEADLINE_MILLIS,
  });
}

/** runc hands a container's terminal on to the one it is run from: `script` is that. */
function withTerminal(command: readonly string[]): string {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return outputOf(['script', '--quiet', '--return', '--command', quoted, '/dev/null']);
}

/** config.json of the OCI runtime specification. */
function configuration(id: string, args: readonly string[], options: ContainerOptions): object {
  const capabilities = [...CAPABILITIES, ...(options.capabilities ?? [])];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: options.terminal ?? false,
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    hostname: 'container',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'nodev', 'mode=1777'] },
    ],
    linux: {
      cgroupsPath: `/docker/${id}`,
      namespaces: NAMESPACES.map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: 'rwm' }] },
    },
  };
}
