import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';
import { Command } from '../kernel/agent-command.ts';
import { until } from './program.ts';

export interface AgentSettings {
  /** Keys of `receivers.kernel`. */
  readonly kernel?: object;
  /** Beside `kernel`. */
  readonly receivers?: object;
  /** Beside `stdout` and `prometheus`. */
  readonly exporters?: object;
  readonly pipelines?: object;
}

/** The agent as users start it, on this kernel, with what it detects on standard output too. */
export class Agent extends Command {
  /** Where its metrics are, `host:port`. */
  readonly metricsAddress: string;

  private constructor(t: TestContext, config: string, metricsAddress: string) {
    super(t, ['run', '-c', config]);
    this.metricsAddress = metricsAddress;
  }

  /** Resolves when it watches. */
  static async start(t: TestContext, folder: string, settings: AgentSettings): Promise<Agent> {
    const { kernel = {}, receivers = {}, exporters = {}, pipelines } = settings;
    const port = await freePort();
    // Nobody else's engines: what they have is none of the test's business.
    const containers = { docker: [], podman: [], containerd: [], cri: [] };
    const config = {
      receivers: { kernel: { containers, ...kernel }, ...receivers },
      processors: { drop_rate: null, enrichment: null, priority: null },
      exporters: { stdout: { format: 'json' }, prometheus: { port }, ...exporters },
      service: { store: { path: join(folder, 'store.db') }, ...(pipelines !== undefined && { pipelines }) },
    };
    const file = join(folder, 'shikra.yaml');
    writeFileSync(file, JSON.stringify(config));
    return Agent.run(t, file, port);
  }

  /** With a configuration that is written already; it must have `stdout`, and metrics at this port. */
  static run(t: TestContext, config: string, port: number): Promise<Agent> {
    return new Agent(t, config, `127.0.0.1:${port}`).ready();
  }

  /** How many an exporter has delivered. */
  delivered(exporter: string): Promise<number> {
    return this.metric(`shikra_exporter_records_total{exporter="${exporter}",outcome="delivered"}`);
  }

  /** Until each exporter has delivered whatever was detected, and no more is on its way. */
  async settled(...exporters: readonly string[]): Promise<void> {
    for (const exporter of exporters)
      await until(`everything to be delivered by ${exporter}`, async () => {
        const count = this.detections.length;
        return count > 0 && (await this.delivered(exporter)) >= count && this.detections.length === count;
      });
  }
}
