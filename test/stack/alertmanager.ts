import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';
import { composeConfig } from './compose.ts';
import { getJson, Program } from './program.ts';

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What Alertmanager posts to a webhook. */
export interface Notification {
  readonly status: 'firing' | 'resolved';
  readonly receiver: string;
  readonly alerts: readonly Alert[];
}

/** Alertmanager with the configuration of deploy/compose; it tells a webhook where that tells nobody. */
export class Alertmanager {
  readonly address: string;

  readonly #program: Program;

  private constructor(address: string, program: Program) {
    this.address = address;
    this.#program = program;
  }

  /** @param webhook who is told; undefined: nobody */
  static async start(t: TestContext, folder: string, webhook?: string): Promise<Alertmanager> {
    const own = join(folder, 'alertmanager');
    mkdirSync(own);
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    const config = composeConfig('alertmanager.yaml', own, {}, {}, (it) => {
      if (webhook !== undefined) it.receivers[0].webhook_configs = [{ url: webhook }];
      it.route.group_wait = '100ms';
      it.route.group_interval = '500ms';
    });
    const program = await Program.start(t, {
      tool: 'alertmanager',
      parameters: [
        `--config.file=${config}`,
        `--storage.path=${own}/data`,
        `--web.listen-address=${address}`,
        '--cluster.listen-address=',
      ],
      folder: own,
      readyUrl: `http://${address}/-/ready`,
    });
    return new Alertmanager(address, program);
  }

  /** It has what it is sent from now on: alerts are in its memory only. */
  start(): Promise<void> {
    return this.#program.start();
  }

  stop(): Promise<void> {
    return this.#program.stop('SIGTERM');
  }

  /** What is there, whether somebody is told of it or not. */
  alerts(): Promise<(Alert & { readonly status: { readonly state: 'active' | 'suppressed' | 'unprocessed' } })[]> {
    return getJson(`http://${this.address}/api/v2/alerts`);
  }
}
