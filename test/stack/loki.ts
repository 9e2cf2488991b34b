import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePorts } from '../fixtures/free-ports.ts';
import { composeConfig, hastyRules } from './compose.ts';
import { getJson, Program, runTool } from './program.ts';

/** A line with its labels, structured metadata among them. */
export interface Line {
  readonly labels: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, value: string])[];
}

type Found =
  | { readonly resultType: 'streams'; readonly result: { stream: Line['labels']; values: [string, string][] }[] }
  | { readonly resultType: 'matrix'; readonly result: Series[] }
  | { readonly resultType: 'vector'; readonly result: { metric: Series['metric']; value: Series['values'][number] }[] };

interface Answer<Data> {
  readonly data: Data;
}

interface Rule {
  readonly health: string;
  readonly lastError?: string;
  readonly alerts?: readonly { readonly labels: Readonly<Record<string, string>> }[];
}

export interface LokiSettings {
  /** `host:port` of Alertmanager. */
  readonly alertmanager?: string;
  /** With the rules of alerts/loki for each. Default: the one that Loki has where it asks for none. */
  readonly tenants?: readonly string[];
}

/** How far back it is looked: tests are younger. */
const RANGE_SECONDS = 3600;

/** Loki with the configuration and the rules of deploy/compose. */
export class Loki {
  readonly address: string;
  readonly #program: Program;

  private constructor(address: string, program: Program) {
    this.address = address;
    this.#program = program;
  }

  get url(): string {
    return `http://${this.address}`;
  }

  static async start(t: TestContext, folder: string, settings: LokiSettings = {}): Promise<Loki> {
    const own = join(folder, 'loki');
    mkdirSync(own);
    const [http, grpc] = (await freePorts(2)) as [number, number];
    const { alertmanager, tenants } = settings;
    const addresses = alertmanager === undefined ? {} : { 'alertmanager:9093': alertmanager };
    const folders = { '/etc/loki': own, ' /loki': ` ${own}` };
    const config = composeConfig('loki.yaml', own, addresses, folders, (it) => {
      const host = '127.0.0.1';
      it.server = {
        http_listen_address: host,
        http_listen_port: http,
        grpc_listen_address: host,
        grpc_listen_port: grpc,
        log_level: 'warn',
      };
      it.common.instance_addr = host;
      it.auth_enabled = tenants !== undefined;
      // It gives others a quarter of a minute to find it, and there are none.
      it.ingester = { lifecycler: { min_ready_duration: '0s' } };
      if (alertmanager === undefined) delete it.ruler.alertmanager_url;
    });
    for (const tenant of tenants ?? ['fake'])
      hastyRules('alerts/loki/shikra.rules.yaml', join(own, 'rules', tenant, 'shikra.rules.yaml'));
    const program = await Program.start(t, {
      tool: 'loki',
      parameters: [`-config.file=${config}`],
      folder: own,
      readyUrl: `http://127.0.0.1:${http}/ready`,
    });
    return new Loki(`127.0.0.1:${http}`, program);
  }

  start(): Promise<void> {
    return this.#program.start();
  }

  /** It writes down what it has. */
  stop(): Promise<void> {
    return this.#program.stop('SIGTERM');
  }

  async lines(expr: string, tenant?: string): Promise<Line[]> {
    const found = await this.#range(expr, tenant, { limit: '5000' });
    if (found.resultType !== 'streams') throw new Error(`expected lines of ${expr}, got a ${found.resultType}`);
    return found.result.flatMap(({ stream, values }) => values.map(([, text]) => ({ labels: stream, text })));
  }

  /** Of a query that counts. */
  async series(expr: string, tenant?: string, stepSeconds = 5, seconds = 120): Promise<readonly Series[]> {
    const found = await this.#range(expr, tenant, { step: `${stepSeconds}` }, seconds);
    if (found.resultType !== 'matrix') throw new Error(`expected numbers of ${expr}, got ${found.resultType}`);
    return found.result;
  }

  /** The labels of every stream: what is indexed. */
  async streams(tenant?: string): Promise<Readonly<Record<string, string>>[]> {
    const parameters = new URLSearchParams({ 'match[]': '{service_name=~".+"}', ...range(RANGE_SECONDS) });
    return (await this.#get<Answer<Readonly<Record<string, string>>[]>>(`/loki/api/v1/series?${parameters}`, tenant))
      .data;
  }

  /** The rules that its ruler has loaded, how they do, and what they tell. */
  async rules(tenant?: string): Promise<readonly Rule[]> {
    const { data } = await this.#get<Answer<{ groups: readonly { rules: readonly Rule[] }[] }>>(
      '/prometheus/api/v1/rules',
      tenant,
    );
    return data.groups.flatMap(({ rules }) => rules);
  }

  /** What `logcli query` prints of each line. */
  logcli(expr: string, tenant?: string): { labels: Readonly<Record<string, string>>; line: string }[] {
    const parameters = [`--addr=${this.url}`, ...(tenant === undefined ? [] : [`--org-id=${tenant}`]), '--quiet'];
    const query = ['query', '--since=1h', '--limit=1000', '--output=jsonl', expr];
    const text = runTool('logcli', ...parameters, ...query);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  async #range(expr: string, tenant: string | undefined, more: Record<string, string>, seconds = RANGE_SECONDS) {
    const parameters = new URLSearchParams({ query: expr, ...range(seconds), ...more });
    return (await this.#get<Answer<Found>>(`/loki/api/v1/query_range?${parameters}`, tenant)).data;
  }

  #get<Answer>(path: string, tenant: string | undefined): Promise<Answer> {
    return getJson(`${this.url}${path}`, tenant === undefined ? {} : { 'x-scope-orgid': tenant });
  }
}

/** In nanoseconds, as Loki has them; a little into the future, as the end is not part of it. */
function range(seconds: number): { start: string; end: string } {
  const now = Date.now();
  return { start: `${now - seconds * 1000}000000`, end: `${now + 1000}000000` };
}
