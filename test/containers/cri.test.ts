/** An engine that speaks CRI and nothing else, as CRI-O does: no package of Debian's, so its answers are made here. containerd.test.ts has a real one of the other kind. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import { CriClient } from '../../collector/containers/cri.ts';
import type { ContainerMetadata } from '../../collector/event/container-metadata.ts';
import { encode, encodeMap, Message } from '../../collector/protobuf.ts';

const ID = 'a'.repeat(64);
const SANDBOX = 'b'.repeat(64);
const IMAGE_ID = 'c'.repeat(64);
const DIGEST = `sha256:${'d'.repeat(64)}`;
const [CREATED, DELETED] = [0, 3];

type Call = { readonly request: Buffer };
type Answer = (error: { code: number; details: string } | null, bytes?: Buffer) => void;

class Engine {
  readonly server = new Server();
  containers = [ID];
  readonly #streams: ServerWritableStream<Buffer, Buffer>[] = [];

  constructor(hasEvents: boolean) {
    const unary = (answer: (request: Message) => Buffer | undefined) => (call: Call, done: Answer) => {
      const bytes = answer(new Message(call.request));
      if (bytes === undefined) done({ code: status.NOT_FOUND, details: 'could not find it' });
      else done(null, bytes);
    };
    this.#add('runtime.v1.RuntimeService', {
      Version: unary(() => encode({ 2: 'cri-o' })),
      ListContainers: unary(() => encode({ 1: this.containers.map((id) => encode({ 1: id, 2: SANDBOX })) })),
      ListPodSandbox: unary(() => encode({ 1: encode({ 1: SANDBOX }) })),
      ContainerStatus: unary((request) =>
        this.containers.includes(request.text(1)) ? container(request.text(1)) : undefined,
      ),
      PodSandboxStatus: unary((request) => (request.text(1) === SANDBOX ? sandbox() : undefined)),
      ...(hasEvents && {
        GetContainerEvents: (call: ServerWritableStream<Buffer, Buffer>) => this.#streams.push(call),
      }),
    });
    this.#add('runtime.v1.ImageService', {
      ImageStatus: unary(() =>
        encode({ 1: encode({ 1: IMAGE_ID, 2: ['registry.test/app:2'], 3: [`registry.test/app@${DIGEST}`] }) }),
      ),
    });
  }

  tell(id: string, type: number): void {
    for (const stream of this.#streams) stream.write(encode({ 1: id, 2: type }));
  }

  #add(service: string, methods: Record<string, unknown>): void {
    const same = (bytes: Buffer) => bytes;
    const definitions = Object.keys(methods).map((name) => [
      name,
      {
        path: `/${service}/${name}`,
        requestStream: false,
        responseStream: name === 'GetContainerEvents',
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    ]);
    this.server.addService(Object.fromEntries(definitions), methods as never);
  }
}

function container(id: string): Buffer {
  const info = { sandboxID: SANDBOX, privileged: true, runtimeSpec: { annotations: {} } };
  const state = encode({
    1: id,
    2: encode({ 1: 'app' }),
    5: 1_795_000_000_000,
    8: encode({ 1: IMAGE_ID, 18: 'registry.test/app:2' }),
    9: IMAGE_ID,
    12: encodeMap({ team: 'payments' }),
    14: encode({ 1: '/mnt', 2: '/srv', 5: 2 }),
  });
  return encode({ 1: state, 2: encodeMap({ info: JSON.stringify(info) }) });
}

function sandbox(): Buffer {
  const annotations = { 'io.kubernetes.cri-o.CNIResult': '{"ips":[]}' };
  const state = encode({
    1: SANDBOX,
    2: encode({ 1: 'web-0', 2: 'uid-1', 3: 'shop' }),
    5: encode({ 1: '10.1.2.3' }),
    6: encode({ 1: encode({ 2: encode({ 2: 2 }) }) }),
    7: encodeMap({ app: 'web' }),
  });
  return encode({ 1: state, 2: encodeMap({ info: JSON.stringify({ runtimeSpec: { annotations } }) }) });
}

async function follow(t: TestContext, engine: Engine) {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-cri-'));
  const socket = join(folder, 'crio.sock');
  await new Promise((resolve) =>
    engine.server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), resolve),
  );
  const client = new CriClient(socket);
  const told: ContainerMetadata[] = [];
  const gone: string[] = [];
  let wake = () => {};
  const listener = {
    onContainer: (metadata: ContainerMetadata) => {
      told.push(metadata);
      wake();
    },
    onGone: ({ id }: { id: string }) => {
      gone.push(id);
      wake();
    },
  };
  client.follow(listener, () => {}).catch(() => {});
  t.after(() => {
    client.close();
    engine.server.forceShutdown();
    rmSync(folder, { recursive: true });
  });
  const until = async (holds: () => boolean) => {
    while (!holds())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { client, told, gone, until };
}

test('tells of the containers and sandboxes that there are', async (t) => {
  const { told, until } = await follow(t, new Engine(true));
  await until(() => told.length === 2);
  const pod = { name: 'web-0', namespace: 'shop', uid: 'uid-1', sandboxId: SANDBOX, labels: { app: 'web' } };
  const shared = { hostPid: true, hostNetwork: false, hostIpc: false, ip: '10.1.2.3', cniJson: '{"ips":[]}' };
  assert.deepEqual(
    told.find(({ id }) => id === ID),
    {
      id: ID,
      namespace: undefined,
      type: 'cri-o',
      name: 'app',
      image: 'registry.test/app:2',
      imageId: IMAGE_ID,
      imageRepository: 'registry.test/app',
      imageTag: '2',
      imageDigest: DIGEST,
      privileged: true,
      mounts: [{ source: '/srv', destination: '/mnt', mode: '', writable: true, propagation: 'rshared' }],
      healthcheck: undefined,
      startedNs: 1_795_000_000_000n,
      labels: { team: 'payments' },
      pod: { ...pod, containerName: 'app' },
      ...shared,
    },
  );
  const pause = told.find(({ id }) => id === SANDBOX);
  assert.deepEqual([pause?.name, pause?.pod, pause?.ip], ['web-0', { ...pod, containerName: undefined }, '10.1.2.3']);
});

test('follows its events', async (t) => {
  const engine = new Engine(true);
  const { told, gone, until } = await follow(t, engine);
  await until(() => told.length === 2);
  const fresh = 'e'.repeat(64);
  engine.containers.push(fresh);
  engine.tell(fresh, CREATED);
  await until(() => told.some(({ id }) => id === fresh));
  engine.tell(fresh, DELETED);
  await until(() => gone.length === 1);
  assert.deepEqual(gone, [fresh]);
});

test('reads the list again and again where there are no events', async (t) => {
  const engine = new Engine(false);
  const { told, gone, until } = await follow(t, engine);
  await until(() => told.length === 2);
  const fresh = 'e'.repeat(64);
  engine.containers = [fresh];
  await until(() => told.length === 3 && gone.length === 1);
  assert.deepEqual([told[2]?.id, gone], [fresh, [ID]]);
});

test('says of a container that the engine does not have that it is not there', async (t) => {
  const { client } = await follow(t, new Engine(true));
  assert.equal(await client.find({ id: 'f'.repeat(64) }), undefined);
});
