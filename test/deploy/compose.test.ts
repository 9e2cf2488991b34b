import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { load } from 'js-yaml';
import { z } from 'zod';
import { checkCapabilities } from '../../cli/doctor/host.ts';
import { builtTool, TOOLS } from '../../scripts/tools.ts';
import { NO_PROMTOOL, runPromtool } from '../alerts/promtool.ts';

const FOLDER = 'deploy/compose';
const text = (file: string) => readFileSync(join(FOLDER, file), 'utf8');
const yaml = <T>(file: string) => load(text(file)) as T;

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly volumes?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly depends_on?: readonly string[];
  readonly ports?: readonly string[];
}

const compose = yaml<{ services: Record<string, Service>; volumes: Record<string, null> }>('compose.yaml');
const services = Object.entries(compose.services);
const dockerfile = readFileSync('deploy/Dockerfile', 'utf8');
/** Where a service listens, by what its configuration says or its makers chose. */
const PORTS: Readonly<Record<string, readonly number[]>> = {
  shikra: [8765],
  collector: [4317, 4318, 8888],
  loki: [3100],
  prometheus: [9090],
  alertmanager: [9093],
};

describe('compose.yaml', () => {
  for (const [name, { image, volumes = [], depends_on = [], ports = [], build }] of services) {
    it(`${name} has a version, and mounts what there is`, () => {
      if (build === undefined) assert.match(image, /:v?\d+\.\d+\.\d+$/);
      else assert.ok(existsSync(join(FOLDER, build.context, build.dockerfile)));
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('.')) assert.ok(existsSync(join(FOLDER, source)), source);
        else if (!source.startsWith('/')) assert.ok(source in compose.volumes, source);
      }
      for (const other of depends_on) assert.ok(other in compose.services, other);
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, 'only this machine may look');
    });
  }

  it('has the versions that the tests run', () => {
    const version = (name: string) => compose.services[name]!.image.split(':')[1]!.replace(/^v/, '');
    const built = (name: keyof typeof TOOLS) => TOOLS[name].version.replace(/^v/, '');
    for (const name of ['alertmanager', 'loki', 'collector'] as const) assert.equal(version(name), built(name));
    // Prometheus 3.15.0 is v0.315.0 as a module.
    const [, major, minor, patch] = /^0\.(\d)(\d\d)\.(\d+)$/.exec(built('prometheus'))!;
    assert.equal(version('prometheus'), `${major}.${Number(minor)}.${patch}`);
  });

  it('gives the agent the capabilities that the doctor asks for, and no other', () => {
    const asked = checkCapabilities('CapEff:\t0000000000000000').map(({ name }) => name.replace('CAP_', ''));
    const { cap_add = [], cap_drop } = compose.services.shikra!;
    assert.deepEqual([...cap_add].sort(), asked.sort());
    assert.deepEqual(cap_drop, ['ALL']);
  });

  it('has configurations that name services and ports that there are', () => {
    for (const file of globSync(`${FOLDER}/**/*.yaml`)) {
      for (const [address, host, port] of readFileSync(file, 'utf8').matchAll(/\b([a-z]+):(\d{4})\b/g)) {
        if (host === 'localhost') continue;
        assert.ok(PORTS[host as string]?.includes(Number(port)), `${file}: ${address}`);
      }
    }
  });
});

describe('what the parts are configured with', () => {
  it("is taken by the agent's own check", () => {
    const parameters = ['cli/main.ts', 'run', '--dry-run', '-c', join(FOLDER, 'shikra.yaml')];
    const { status, stdout, stderr } = spawnSync(process.execPath, parameters, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /processors {2}drop_rate -> enrichment -> priority/);
  });

  it("is taken by Prometheus' own check", { skip: NO_PROMTOOL }, () => {
    assert.match(runPromtool('check', 'config', '--syntax-only', join(FOLDER, 'prometheus.yaml')), /SUCCESS/);
  });

  const amtool = builtTool('amtool');
  it("is taken by Alertmanager's own check", {
    skip: amtool ? false : '`node scripts/tools.ts amtool` builds it',
  }, () => {
    const parameters = ['check-config', join(FOLDER, 'alertmanager.yaml')];
    const { status, stderr } = spawnSync(amtool!, parameters, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  const loki = builtTool('loki');
  it("is taken by Loki's own check", { skip: loki ? false : '`node scripts/tools.ts loki` builds it' }, () => {
    const parameters = ['-verify-config', `-config.file=${join(FOLDER, 'loki.yaml')}`];
    const { status, stderr } = spawnSync(loki!, parameters, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  const collector = builtTool('collector');
  it("is taken by the Collector's own check", {
    skip: collector ? false : '`node scripts/tools.ts collector` builds it',
  }, () => {
    const parameters = ['validate', `--config=${join(FOLDER, 'collector.yaml')}`];
    const { status, stderr } = spawnSync(collector!, parameters, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  it('has only keys that Grafana documents for its provisioning', () => {
    // https://grafana.com/docs/grafana/latest/administration/provisioning/
    const url = z.url({ protocol: /^http$/ });
    const common = {
      name: z.string(),
      uid: z.string(),
      access: z.literal('proxy'),
      url,
      isDefault: z.literal(true).optional(),
    };
    const dataSource = z.discriminatedUnion('type', [
      z.strictObject({
        ...common,
        type: z.literal('prometheus'),
        jsonData: z.strictObject({ timeInterval: z.string().regex(/^\d+s$/), alertmanagerUid: z.string() }),
      }),
      z.strictObject({
        ...common,
        type: z.literal('loki'),
        jsonData: z.strictObject({
          maxLines: z.int(),
          alertmanagerUid: z.string(),
          derivedFields: z.array(
            z.strictObject({
              name: z.string(),
              matcherType: z.enum(['label', 'regex']),
              matcherRegex: z.string(),
              // Grafana takes a single dollar sign for a variable of the environment.
              url: z.string().regex(/^[^$]*(\$\$\{[^$]*)*$/),
              urlDisplayLabel: z.string(),
            }),
          ),
        }),
      }),
      z.strictObject({
        ...common,
        type: z.literal('alertmanager'),
        jsonData: z.strictObject({ implementation: z.enum(['prometheus', 'mimir', 'cortex']) }),
      }),
    ]);
    const provider = z.strictObject({
      name: z.string(),
      orgId: z.literal(1),
      folder: z.string(),
      type: z.literal('file'),
      disableDeletion: z.boolean(),
      allowUiUpdates: z.boolean(),
      updateIntervalSeconds: z.int().min(11),
      options: z.strictObject({ path: z.string().startsWith('/') }),
    });
    const version = { apiVersion: z.literal(1) };
    const { datasources } = z
      .strictObject({ ...version, datasources: z.array(dataSource) })
      .parse(yaml('grafana/provisioning/datasources/shikra.yaml'));
    z.strictObject({ ...version, providers: z.array(provider) }).parse(
      yaml('grafana/provisioning/dashboards/shikra.yaml'),
    );
    const uids = datasources.map(({ uid }) => uid);
    for (const { jsonData } of datasources)
      if ('alertmanagerUid' in jsonData) assert.ok(uids.includes(jsonData.alertmanagerUid));
  });

  it('inhibits as the example for Alertmanager does', () => {
    interface Config {
      readonly inhibit_rules: readonly object[];
    }
    const example = load(readFileSync('alerts/alertmanager.example.yaml', 'utf8')) as Config;
    const ours = yaml<Config>('alertmanager.yaml').inhibit_rules;
    assert.deepEqual(ours, example.inhibit_rules.slice(0, ours.length));
  });

  it('joins only parts that the Collector has, with the limiter first and a queue on disk', () => {
    type Parts = Record<string, { sending_queue?: { storage?: string } } | null>;
    const config = yaml<{
      extensions: Parts;
      receivers: Parts;
      processors: Parts;
      exporters: Parts;
      service: {
        extensions: string[];
        pipelines: Record<string, Record<'receivers' | 'processors' | 'exporters', string[]>>;
      };
    }>('collector.yaml');
    for (const pipeline of Object.values(config.service.pipelines)) {
      for (const kind of ['receivers', 'processors', 'exporters'] as const)
        for (const id of pipeline[kind]) assert.ok(id in config[kind], id);
      assert.equal(pipeline.processors[0], 'memory_limiter');
    }
    for (const exporter of Object.values(config.exporters))
      assert.ok(config.service.extensions.includes(exporter?.sending_queue?.storage as string));
    for (const id of config.service.extensions) assert.ok(id in config.extensions, id);
  });

  it('brings Grafana data sources of both kinds, and the dashboards to where it looks for them', () => {
    const { datasources } = yaml<{ datasources: { type: string; uid: string }[] }>(
      'grafana/provisioning/datasources/shikra.yaml',
    );
    assert.deepEqual(
      datasources.map(({ type }) => type),
      ['prometheus', 'loki', 'alertmanager'],
    );
    const { providers } = yaml<{ providers: { options: { path: string } }[] }>(
      'grafana/provisioning/dashboards/shikra.yaml',
    );
    const mounts = compose.services.grafana!.volumes!.map((volume) => volume.split(':'));
    assert.deepEqual(
      mounts.filter(([, target]) => target === providers[0]!.options.path).map(([source]) => source),
      ['../grafana/dashboards'],
    );
  });
});

describe('Dockerfile', () => {
  it('builds as the checks do, with the Node and the packages of the set-up', () => {
    const setup = readFileSync('scripts/with-setup.sh', 'utf8');
    const node = /^node_version=(.*)$/m.exec(setup)![1]!;
    const froms = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from]) => from);
    assert.deepEqual(froms, [`node:${node}-bookworm`, `node:${node}-bookworm-slim`]);
    assert.match(dockerfile, /^RUN npm ci$/m);
    assert.match(dockerfile, /^RUN npm run build && /m);
    const needs = /^build_needs='\n(.*?)^'/ms.exec(setup)![1]!.trim().split('\n');
    for (const need of needs) assert.ok(dockerfile.includes(` ${need.split('|')[1]} `), need);
  });

  it('carries nothing to the last stage but what runs', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('FROM '));
    assert.deepEqual(
      [...last.matchAll(/^COPY (.*)$/gm)].map(([, what]) => what),
      [
        '--from=build /src/package.json ./',
        '--from=build /src/node_modules node_modules',
        '--from=build /src/dist dist',
      ],
    );
    assert.doesNotMatch(last, /\b(clang|gcc|make)\b/);
  });
});
