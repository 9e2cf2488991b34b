import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { dump, load } from 'js-yaml';
import { freePorts } from '../fixtures/free-ports.ts';
import { composeConfig } from './compose.ts';
import { Program } from './program.ts';

/** OpenTelemetry's Collector with the configuration of deploy/compose, and its queue on disk. */
export class Collector {
  /** Where OTLP is taken over HTTP. */
  readonly url: string;
  /** The same over gRPC. */
  readonly grpcUrl: string;
  /** Its own metrics. */
  readonly metricsUrl: string;
  readonly #program: Program;
  readonly #config: string;

  private constructor(
    ports: { readonly http: number; readonly grpc: number; readonly metrics: number },
    program: Program,
    config: string,
  ) {
    this.url = `http://127.0.0.1:${ports.http}`;
    this.grpcUrl = `http://127.0.0.1:${ports.grpc}`;
    this.metricsUrl = `http://127.0.0.1:${ports.metrics}/metrics`;
    this.#program = program;
    this.#config = config;
  }

  /**
   * @param loki `host:port`
   * @param tenant of Loki, where it has several
   */
  static async start(t: TestContext, folder: string, loki: string, tenant?: string): Promise<Collector> {
    const own = join(folder, 'collector');
    mkdirSync(own);
    const [grpc, http, metrics, health] = (await freePorts(4)) as [number, number, number, number];
    const addresses = {
      'loki:3100': loki,
      '0.0.0.0:4317': `127.0.0.1:${grpc}`,
      '0.0.0.0:4318': `127.0.0.1:${http}`,
      '0.0.0.0:13133': `127.0.0.1:${health}`,
      'port: 8888': `port: ${metrics}`,
    };
    const config = composeConfig('collector.yaml', own, addresses, { '/var/lib/otelcol': own }, (it) => {
      Object.assign(it.exporters['otlp_http/loki'].retry_on_failure, { initial_interval: '200ms', max_interval: '1s' });
      if (tenant !== undefined) it.exporters['otlp_http/loki'].headers = { 'X-Scope-OrgID': tenant };
      it.service.telemetry.metrics.readers[0].pull.exporter.prometheus.host = '127.0.0.1';
    });
    const program = await Program.start(t, {
      tool: 'collector',
      parameters: [`--config=${config}`],
      folder: own,
      readyUrl: `http://127.0.0.1:${health}/`,
    });
    return new Collector({ http, grpc, metrics }, program, config);
  }

  /** Has it begin anew with other bounds of its memory. @returns those that it had */
  async limitMemory(limits: object): Promise<object> {
    const config = load(readFileSync(this.#config, 'utf8')) as { processors: { memory_limiter: object } };
    const before = config.processors.memory_limiter;
    config.processors.memory_limiter = limits;
    writeFileSync(this.#config, dump(config));
    await this.#program.stop('SIGTERM');
    await this.#program.start();
    return before;
  }

  get log(): string {
    return this.#program.log;
  }

  start(): Promise<void> {
    return this.#program.start();
  }

  kill(): Promise<void> {
    return this.#program.stop('SIGKILL');
  }
}
