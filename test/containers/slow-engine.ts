import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const IMAGE_ID = `sha256:${'5'.repeat(64)}`;

/** Speaks as much of Docker's API as the agent asks for, and answers about containers when a test says so: no real engine can be made that slow. */
export class SlowEngine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'shikra-slow-engine-'));
  readonly #waiting: (() => void)[] = [];
  readonly #asked = new Set<string>();
  readonly #server = createServer((request, response) => this.#answer(request.url ?? '', response));

  get socket(): string {
    return join(this.#folder, 'docker.sock');
  }

  /** @param uid whose engine it is */
  async start(uid = 0): Promise<void> {
    this.#server.listen(this.socket);
    await once(this.#server, 'listening');
    chownSync(this.socket, uid, uid);
  }

  /** True if somebody has asked about the container. */
  wasAskedAbout(id: string): boolean {
    return this.#asked.has(id);
  }

  /** Answers all questions about containers that are open. */
  answer(): void {
    for (const answer of this.#waiting.splice(0)) answer();
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #answer(url: string, response: ServerResponse): void {
    const [path = ''] = url.split('?');
    const id = /^\/containers\/([0-9a-f]{64})\/json$/.exec(path)?.[1];
    if (path === '/events') response.flushHeaders();
    else if (id !== undefined) {
      this.#waiting.push(() => response.end(JSON.stringify(inspected(id))));
      this.#asked.add(id);
    } else response.end(path.startsWith('/images/') ? '{}' : '[]');
  }
}

function inspected(Id: string): object {
  return { Id, Name: `/slow-${Id.slice(0, 4)}`, Image: IMAGE_ID, Config: { Image: 'registry.test/slow:1' } };
}
