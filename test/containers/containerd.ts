import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GrpcChannel } from '../../collector/containers/grpc.ts';
import { encode, encodeMap, Message } from '../../collector/protobuf.ts';
import { EngineProcess } from './engine-process.ts';
import { imageArchive } from './image.ts';

const LIMIT_MILLIS = 30_000;
const RETRY_MILLIS = 200;
const RUNTIME = 'runtime.v1.RuntimeService';
export const PAUSE = 'shikra.test/pause:1';
/** NamespaceMode NODE: no network plugin is needed. */
const NODE = 2;

export interface PodOptions {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ContainerOptions {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly privileged?: boolean;
  /** Source -> destination. */
  readonly mounts?: Readonly<Record<string, string>>;
}

/** A containerd of a test's own, and the CRI service in it. */
export class Containerd extends EngineProcess {
  #channel: GrpcChannel | undefined;

  constructor() {
    super('containerd', 'containerd', parameters, () => this.#answers());
  }

  get socket(): string {
    return join(this.folder, 'containerd.sock');
  }

  /** Makes an image of busybox in a namespace. */
  load(namespace: string, names: readonly string[], secret: string): void {
    this.ctr('--namespace', namespace, 'image', 'import', imageArchive(this.folder, names, secret));
  }

  /** The `ctr` command. @returns what it prints */
  ctr(...args: readonly string[]): string {
    const options = { encoding: 'utf8', timeout: LIMIT_MILLIS } as const;
    return execFileSync('ctr', ['--address', this.socket, ...args], options).trim();
  }

  /** A running pod on the host's network. @returns the sandbox's id */
  async runPod(pod: PodOptions): Promise<string> {
    return (await this.#call('RunPodSandbox', encode({ 1: sandboxConfig(pod) }))).text(1);
  }

  /** Creates and starts a container in a pod. @returns its id */
  async runContainer(sandboxId: string, pod: PodOptions, container: ContainerOptions): Promise<string> {
    const config = encode({
      1: encode({ 1: container.name }),
      2: encode({ 1: container.image }),
      3: container.command,
      7: Object.entries(container.mounts ?? {}).map(([from, to]) => encode({ 1: to, 2: from, 3: true })),
      9: encodeMap(container.labels ?? {}),
      15: encode({ 2: encode({ 2: container.privileged ?? false, 3: namespaces() }) }),
    });
    const id = (await this.#call('CreateContainer', encode({ 1: sandboxId, 2: config, 3: sandboxConfig(pod) }))).text(
      1,
    );
    await this.#call('StartContainer', encode({ 1: id }));
    return id;
  }

  /** Tries again as kubelet does: a container that ends at that moment cannot be stopped, and containerd takes it for a failure. */
  async removePod(sandboxId: string, attempts = 5): Promise<void> {
    try {
      await this.#call('StopPodSandbox', encode({ 1: sandboxId }));
      await this.#call('RemovePodSandbox', encode({ 1: sandboxId }));
    } catch (error) {
      if (attempts === 1) throw error;
      await sleep(RETRY_MILLIS);
      await this.removePod(sandboxId, attempts - 1);
    }
  }

  override async stop(signal?: NodeJS.Signals): Promise<void> {
    this.#channel?.close();
    this.#channel = undefined;
    await super.stop(signal);
  }

  override async close(): Promise<void> {
    if (this.#answers()) {
      const sandboxes = (await this.#call('ListPodSandbox', Buffer.alloc(0))).messages(1);
      for (const sandbox of sandboxes) await this.removePod(sandbox.text(1));
    }
    await super.close();
  }

  async #call(method: string, request: Buffer): Promise<Message> {
    this.#channel ??= new GrpcChannel(this.socket);
    return new Message(await this.#channel.unary(`${RUNTIME}/${method}`, request, { timeoutMillis: LIMIT_MILLIS }));
  }

  #answers(): boolean {
    return spawnSync('ctr', ['--address', this.socket, 'version'], { timeout: 2000 }).status === 0;
  }
}

function namespaces(): Buffer {
  return encode({ 1: NODE });
}

function sandboxConfig({ name, namespace, uid, labels = {} }: PodOptions): Buffer {
  return encode({
    1: encode({ 1: name, 2: uid, 3: namespace }),
    6: encodeMap(labels),
    8: encode({ 2: encode({ 1: namespaces(), 6: true }) }),
  });
}

function parameters(folder: string): string[] {
  const config = join(folder, 'config.toml');
  writeFileSync(
    config,
    `version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
address = "${folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "${folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE}"
stream_server_address = "127.0.0.1"
stream_server_port = "0"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${folder}/cni/bin"
conf_dir = "${folder}/cni/conf"
`,
  );
  return ['--config', config];
}
