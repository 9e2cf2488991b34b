import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { Command, temporaryFolder } from '../kernel/agent-command.ts';

/** An agent with these receivers and no probe, unless `kernel` is one of them: a process of its own, as users have it. */
export class AgentWith {
  readonly folder: string;
  readonly command: Command;

  constructor(
    t: TestContext,
    receivers: object,
    sections: { exporters?: object; service?: object } = {},
    folder = temporaryFolder(t),
  ) {
    this.folder = folder;
    this.configure({ receivers, ...sections });
    this.command = new Command(t, ['run', '-c', join(folder, 'config.yaml')]);
  }

  static async start(...given: ConstructorParameters<typeof AgentWith>): Promise<AgentWith> {
    const agent = new AgentWith(...given);
    await agent.command.until('it to watch', () => agent.command.stderr.includes('"msg":"watching '));
    return agent;
  }

  /** Writes the configuration: stdout, metrics on a free port, and the store beside it. */
  configure({
    receivers,
    exporters = {},
    service = {},
  }: {
    receivers: object;
    exporters?: object;
    service?: object;
  }): void {
    const config = {
      receivers,
      exporters: { stdout: { format: 'json' }, prometheus: { port: 0 }, ...exporters },
      service: { store: { path: 'store.db' }, ...service },
    };
    this.write(JSON.stringify(config));
  }

  /** At once, as editors do: the agent may look at any time. */
  write(text: string): void {
    const file = join(this.folder, 'config.yaml');
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  /** The address that the agent told of with this message. */
  url(message: string): string {
    const line = this.command.stderr.split('\n').findLast((text) => text.includes(`"msg":"${message}"`));
    return (JSON.parse(line!) as { url: string }).url;
  }

  /** The uuids on disk. */
  stored(): string[] {
    const database = new DatabaseSync(join(this.folder, 'store.db'), { readOnly: true });
    try {
      const rows = database.prepare('SELECT uid FROM detections ORDER BY seq').all();
      return rows.map((row) => String(row.uid));
    } finally {
      database.close();
    }
  }

  async stop(): Promise<void> {
    this.command.child.kill('SIGTERM');
    assert.equal(await this.command.ended(), 0, this.command.stderr);
  }
}
