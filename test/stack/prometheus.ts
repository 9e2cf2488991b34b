import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';
import { composeConfig, hastyRules } from './compose.ts';
import { getJson, Program } from './program.ts';

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, value: string])[];
}

interface Answer<Data> {
  readonly data: Data;
}

type Found = {
  readonly resultType: string;
  readonly result: readonly (Series & { value?: Series['values'][number] })[];
};

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

export interface PrometheusSettings {
  /** The agent's metrics, `host:port`; without it nothing is scraped. */
  readonly agent?: string;
  /** `host:port`. */
  readonly alertmanager?: string;
}

/** Prometheus with the configuration and the rules of deploy/compose, which looks every second. */
export class Prometheus {
  readonly address: string;

  private constructor(address: string) {
    this.address = address;
  }

  get url(): string {
    return `http://${this.address}`;
  }

  static async start(t: TestContext, folder: string, settings: PrometheusSettings): Promise<Prometheus> {
    const own = join(folder, 'prometheus');
    mkdirSync(own);
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    const { agent, alertmanager } = settings;
    const addresses = {
      ...(agent !== undefined && { 'shikra:8765': agent }),
      ...(alertmanager !== undefined && { 'alertmanager:9093': alertmanager }),
    };
    const config = composeConfig('prometheus.yaml', own, addresses, { '/etc/prometheus': own }, (it) => {
      it.global = { scrape_interval: '1s', evaluation_interval: '1s' };
      it.scrape_configs = it.scrape_configs.filter((job: { job_name: string }) => agent && job.job_name === 'shikra');
      if (alertmanager === undefined) delete it.alerting;
    });
    hastyRules('alerts/shikra.rules.yaml', join(own, 'rules/shikra.rules.yaml'));
    await Program.start(t, {
      tool: 'prometheus',
      parameters: [
        `--config.file=${config}`,
        `--storage.tsdb.path=${own}/data`,
        `--web.listen-address=${address}`,
        '--web.enable-otlp-receiver',
      ],
      folder: own,
      readyUrl: `http://${address}/-/ready`,
    });
    return new Prometheus(address);
  }

  async instant(expr: string): Promise<Series[]> {
    const { data } = await getJson<Answer<Found>>(`${this.url}/api/v1/query?${new URLSearchParams({ query: expr })}`);
    return data.result.map(({ metric, value }) => ({ metric, values: value === undefined ? [] : [value] }));
  }

  async range(expr: string, seconds: number, stepSeconds: number): Promise<readonly Series[]> {
    const end = Date.now() / 1000;
    const parameters = { query: expr, start: `${end - seconds}`, end: `${end}`, step: `${stepSeconds}` };
    const { data } = await getJson<Answer<Found>>(`${this.url}/api/v1/query_range?${new URLSearchParams(parameters)}`);
    return data.result;
  }

  /** The alerts it has loaded, and how they do. */
  async rules(): Promise<readonly Rule[]> {
    const { data } = await getJson<Answer<{ groups: readonly { rules: readonly Rule[] }[] }>>(
      `${this.url}/api/v1/rules`,
    );
    return data.groups.flatMap(({ rules }) => rules);
  }

  /** The labels of all series that match. */
  async series(matcher: string): Promise<Readonly<Record<string, string>>[]> {
    const parameters = new URLSearchParams({ 'match[]': matcher });
    return (await getJson<Answer<Readonly<Record<string, string>>[]>>(`${this.url}/api/v1/series?${parameters}`)).data;
  }

  async labelValues(label: string, matcher: string): Promise<string[]> {
    const parameters = new URLSearchParams({ 'match[]': matcher });
    return (await getJson<Answer<string[]>>(`${this.url}/api/v1/label/${label}/values?${parameters}`)).data;
  }
}
