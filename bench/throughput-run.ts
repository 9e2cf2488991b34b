import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, globSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runToEnd, sleep, waitUntil } from './child.ts';
import type { Arrived } from './otlp-sink.ts';
import { BUILD, SHIKRA } from './programs.ts';
import { type ProcessUsage, processUsage } from './usage.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RULE = 'Measured file opened';
const MEASURED = 'measured-file';
/** How long the exporters may need after the last detection was made. */
const LONGEST_LAG_MILLIS = 120_000;
const LOOK_MILLIS = 500;
/** The agent's counters follow once a second, later if it is busy. */
const NOTHING_COMES_MILLIS = 5000;
/** Warm code is measured, as an agent that runs for weeks has it. */
const WARM_UP = { rate: 1000, seconds: 3 };

/** What was found at one of the two far ends. */
export interface FarEnd {
  /** Different `log.record.uid` of the measured rule. */
  readonly unique: number;
  readonly records: number;
}

export interface DeliveryResults {
  readonly rate: number;
  readonly seconds: number;
  /** Opens of the file, warm-up included: as many detections are due. */
  readonly made: number;
  /** Opens a second while it was measured. */
  readonly madePerSecond: number;
  readonly droppedByKernel: number;
  readonly otlp: FarEnd;
  readonly file: FarEnd;
  /** From the event to its record at the OTLP receiver, warm-up included. */
  readonly latencyMillis: Arrived['latencyMillis'];
  /** Detections that each exporter had before it when the last was made. */
  readonly queueAtEnd: Readonly<Record<string, number>>;
  /** From the last detection until both exporters had nothing before them. */
  readonly lagSeconds: number;
  /** CPU seconds of the agent, by thread, from the first measured detection until the last was delivered. */
  readonly threadSeconds: ReadonlyMap<string, number>;
  readonly sinkSeconds: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** An agent with the default rules and one more, which matches the opens of one file; its two exporters, and where they send. */
export class DeliveryRun {
  readonly #folder: string;
  readonly #agent: ChildProcess;
  readonly #sink: ChildProcess;
  readonly #metricsUrl: string;

  private constructor(folder: string, agent: ChildProcess, sink: ChildProcess, metricsUrl: string) {
    this.#folder = folder;
    this.#agent = agent;
    this.#sink = sink;
    this.#metricsUrl = metricsUrl;
  }

  static async start(folder: string, nodeOptions: readonly string[]): Promise<DeliveryRun> {
    writeFileSync(join(folder, MEASURED), '');
    const sink = fork(join(ROOT, 'bench/otlp-sink.ts'), [join(folder, 'otlp-uids')]);
    const [{ url }] = (await once(sink, 'message')) as [{ url: string }];
    writeFileSync(join(folder, 'rules.yaml'), rules(folder));
    writeFileSync(join(folder, 'shikra.yaml'), configuration(folder, url));
    const agent = spawn(SHIKRA, ['run', '-c', join(folder, 'shikra.yaml')], {
      cwd: ROOT,
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: undefined,
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        NODE_OPTIONS: nodeOptions.join(' '),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.once('exit', () => agent.kill('SIGTERM'));
    let log = '';
    agent.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (/"level":"(error|fatal)"/.test(text)) console.error(text);
    });
    await waitUntil(agent, 'the start of the agent', () => log.includes('watching system calls')).catch((error) => {
      throw new Error(`${(error as Error).message}\n${log}`);
    });
    return new DeliveryRun(folder, agent, sink, /"url":"(http[^"]*metrics[^"]*)"/.exec(log)![1]!);
  }

  async measure(rate: number, seconds: number): Promise<DeliveryResults> {
    const warmUp = await this.#open(WARM_UP.rate, WARM_UP.seconds);
    await this.#delivered(warmUp.count);
    const before = this.#usage();
    const opened = await this.#open(rate, seconds);
    const queueAtEnd = await this.#queues();
    const ended = performance.now();
    await this.#delivered(warmUp.count + opened.count);
    const lagSeconds = (performance.now() - ended) / 1000;
    const after = this.#usage();
    const metrics = await this.#metrics();
    const file = await this.#inFile();
    return {
      rate,
      seconds,
      made: warmUp.count + opened.count,
      madePerSecond: (opened.count / opened.nanos) * 1e9,
      droppedByKernel: sumOf(metrics, 'shikra_events_dropped_total'),
      ...(await this.#atSink(file.uids)),
      file: { unique: file.uids.size, records: file.records },
      queueAtEnd,
      lagSeconds,
      threadSeconds: difference(after.agent, before.agent),
      sinkSeconds: after.sinkSeconds - before.sinkSeconds,
      rssBytes: after.agent.rssBytes,
      peakRssBytes: after.agent.peakRssBytes,
    };
  }

  async stop(): Promise<void> {
    const ended = once(this.#agent, 'close');
    this.#agent.kill('SIGTERM');
    await ended;
    this.#sink.disconnect();
  }

  async #open(rate: number, seconds: number): Promise<{ count: number; nanos: number }> {
    const parameters = [String(rate), String(seconds), join(this.#folder, MEASURED)];
    const [count, nanos] = (await runToEnd(join(BUILD, 'paced'), parameters)).split(' ').map(Number);
    return { count: count!, nanos: nanos! };
  }

  /**
   * Until what was made has been detected, or nothing more of it comes, and both exporters have delivered what was detected by then: others may make detections
   * on this machine all the time.
   */
  async #delivered(made: number): Promise<void> {
    const deadline = performance.now() + LONGEST_LAG_MILLIS;
    let [matches, since, due] = [-1, 0, Number.POSITIVE_INFINITY];
    while (performance.now() < deadline) {
      await sleep(LOOK_MILLIS);
      const metrics = await this.#metrics();
      const now = sumOf(metrics, 'shikra_rule_matches_total', `rule="${RULE}"`);
      if (now !== matches) [matches, since] = [now, performance.now()];
      if (matches >= made || performance.now() - since > NOTHING_COMES_MILLIS)
        due = Math.min(due, sumOf(metrics, 'shikra_detections_total'));
      const delivered = (id: string) =>
        sumOf(metrics, 'shikra_exporter_records_total', `exporter="${id}",outcome="delivered"`);
      if (delivered('otlp') >= due && delivered('file') >= due) return;
    }
    console.error('delivery: gave up waiting; what is missing is counted');
  }

  async #queues(): Promise<Record<string, number>> {
    return queuesIn(await this.#metrics());
  }

  async #metrics(): Promise<string> {
    return (await fetch(this.#metricsUrl)).text();
  }

  #usage(): { agent: ProcessUsage; sinkSeconds: number } {
    const sink = processUsage(this.#sink.pid!);
    return { agent: processUsage(this.#agent.pid!), sinkSeconds: sink.userSeconds + sink.systemSeconds };
  }

  async #inFile(): Promise<{ uids: Set<string>; records: number }> {
    const uids = new Set<string>();
    let records = 0;
    for (const path of globSync(join(this.#folder, 'alerts.jsonl*'))) {
      for await (const line of createInterface({ input: createReadStream(path) })) {
        const { rule, uuid } = JSON.parse(line) as { rule: string; uuid: string };
        if (rule !== RULE) continue;
        uids.add(uuid);
        records++;
      }
    }
    return { uids, records };
  }

  /** @param measured the uids of the measured rule, as the other end has them: a record here is looked up by its uid alone */
  async #atSink(measured: ReadonlySet<string>): Promise<Pick<DeliveryResults, 'otlp' | 'latencyMillis'>> {
    this.#sink.send('report');
    const [{ latencyMillis }] = (await once(this.#sink, 'message')) as [Arrived];
    const unique = new Set<string>();
    let records = 0;
    for await (const uid of createInterface({ input: createReadStream(join(this.#folder, 'otlp-uids')) })) {
      if (!measured.has(uid)) continue;
      unique.add(uid);
      records++;
    }
    return { otlp: { unique: unique.size, records }, latencyMillis };
  }
}

function rules(folder: string): string {
  const rule = {
    rule: RULE,
    desc: 'A file was opened whose opens are counted.',
    condition: `evt.type in (open, openat, openat2) and fd.name = ${join(folder, MEASURED)}`,
    output:
      'Measured file opened (file=%fd.name pcmdline=%proc.pcmdline gparent=%proc.aname[2] evt_type=%evt.type user=%user.name user_uid=%user.uid user_loginuid=%user.loginuid process=%proc.name proc_exepath=%proc.exepath parent=%proc.pname command=%proc.cmdline terminal=%proc.tty container_id=%container.id container_name=%container.name)',
    priority: 'WARNING',
    tags: ['filesystem', 'mitre_credential_access', 'T1555'],
  };
  return JSON.stringify([rule]);
}

function configuration(folder: string, url: string): string {
  return JSON.stringify({
    receivers: { kernel: { rules_files: [join(folder, 'rules.yaml'), 'bundled'] } },
    exporters: {
      otlp: { endpoint: url, protocol: 'http/protobuf' },
      file: { path: join(folder, 'alerts.jsonl'), max_bytes: '1GiB' },
      prometheus: { port: 0 },
    },
    service: { store: { path: join(folder, 'shikra.db') } },
  });
}

/** @param labels that the samples must have, as the page has them */
function sumOf(page: string, name: string, labels = ''): number {
  return samplesOf(page, name)
    .filter((sample) => sample.labels.includes(labels))
    .reduce((sum, { value }) => sum + value, 0);
}

function queuesIn(page: string): Record<string, number> {
  const samples = samplesOf(page, 'shikra_exporter_queue_size');
  return Object.fromEntries(samples.map(({ labels, value }) => [/exporter="([^"]*)"/.exec(labels)![1]!, value]));
}

function samplesOf(page: string, name: string): { labels: string; value: number }[] {
  return page.split('\n').flatMap((line) => {
    const [, sample, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return sample === name ? [{ labels, value: Number(value) }] : [];
  });
}

function difference(after: ProcessUsage, before: ProcessUsage): Map<string, number> {
  return new Map(
    [...after.threadSeconds].map(([name, until]) => [name, until - (before.threadSeconds.get(name) ?? 0)]),
  );
}
