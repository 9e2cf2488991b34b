import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';

/** Why it cannot run here, for a test's `skip`; false if it can. */
export const noRedis = () => (spawnSync('redis-server', ['--version']).status === 0 ? false : 'no redis-server');

/** Debian's server, whose data are on disk before it answers. */
export class Redis {
  readonly port: number;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  static async start(t: TestContext, folder: string): Promise<Redis> {
    const own = join(folder, 'redis');
    mkdirSync(own);
    const redis = new Redis(await freePort(), own);
    t.after(() => redis.kill());
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    const own = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.#folder];
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'redis-server', ...own, ...durable], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) if (line.includes('Ready to accept')) break;
    child.stdout.resume();
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** The field `uid` of every entry of the stream. */
  uids(): string[] {
    const words = ['-p', `${this.port}`, 'XRANGE', 'shikra', '-', '+'];
    const { stdout } = spawnSync('redis-cli', words, { encoding: 'utf8', maxBuffer: 1 << 26 });
    const lines = stdout.split('\n');
    return lines.flatMap((line, index) => (line === 'uid' ? [lines[index + 1]!] : []));
  }
}
