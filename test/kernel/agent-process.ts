import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bundledRulesPath, loadRules, readRuleFiles } from '../../rules/index.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const READY_MILLIS = 20_000;
/** Without one, what it is asked ends the test. */
const ANSWER_MILLIS = 10_000;
/** The agent allows itself five seconds; a busy machine may take as long again. Whoever supervises it kills it after ten. */
const STOP_MILLIS = 10_000;
/** A machine that is busy with other things fills the rings, and they are worked through in order. */
const MARKER_MILLIS = 30_000;

/** A detection as `stdout` prints it. */
export interface Alert {
  readonly hostname: string;
  readonly output: string;
  readonly output_fields: Readonly<Record<string, unknown>>;
  readonly priority: string;
  readonly rule: string;
  readonly source: string;
  readonly tags: readonly string[];
  readonly time: string;
  readonly uuid: string;
}

export interface AgentProcessOptions {
  /** Keys of `receivers.kernel` beside `rules_files`. */
  readonly receiver?: Readonly<Record<string, unknown>>;
  /** In place of all the bundled rules: some of their files, with full path. */
  readonly bundled?: readonly string[];
  /** Rule files after the bundled ones. */
  readonly rulesFiles?: readonly string[];
  readonly processors?: Readonly<Record<string, unknown>>;
  /** Beside `stdout` and `prometheus`. */
  readonly exporters?: Readonly<Record<string, unknown>>;
  /** Keys of `service` beside `store`. */
  readonly service?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where the store and the configuration are put; it is left there. Default: a folder of its own, removed by `close`. */
  readonly folder?: string;
}

const MARKER = 'Marker of a test';
const MARKER_ARGUMENT = 'shikra-test-marker-';
const LINEAGE = 'proc.apid';

/** `shikra run` in a process of its own: the agent as users have it, with the bundled rules. */
export class AgentProcess {
  readonly child: ChildProcess;
  readonly folder: string;
  /** Lines of standard output, each a detection. */
  readonly lines: string[] = [];
  /** Lines of standard error: the agent's log. */
  readonly log: string[] = [];
  #detections: Alert[] = [];
  #metricsUrl: string | undefined;
  #markers = 0;
  readonly #ownFolder: boolean;
  readonly #exited: Promise<[code: number | null, signal: string | null]>;
  readonly #waiting = new Set<() => void>();
  readonly #killWithUs = () => this.child.kill('SIGKILL');

  private constructor(child: ChildProcess, folder: string, ownFolder: boolean) {
    this.child = child;
    this.folder = folder;
    this.#ownFolder = ownFolder;
    // 'close', not 'exit': by then everything that it printed has been read
    this.#exited = once(child, 'close') as Promise<[number | null, string | null]>;
    process.once('exit', this.#killWithUs);
    child.once('close', () => this.#wake());
    createInterface({ input: child.stdout! }).on('line', (line) => this.#print(line));
    createInterface({ input: child.stderr! }).on('line', (line) => this.#tell(line));
  }

  /** Resolves when the probe is attached. The caller closes what it started. */
  static async start(options: AgentProcessOptions = {}): Promise<AgentProcess> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'shikra-agent-'));
    const file = join(folder, 'config.yaml');
    writeFileSync(join(folder, 'lineage.yaml'), await lineageRules(ruleFiles(options)));
    writeFileSync(file, JSON.stringify(configuration(folder, options)));
    const path = `${dirname(process.execPath)}:${process.env.PATH}`;
    const env = { PATH: path, HOME: process.env.HOME, ...options.environment };
    // by its first line, which says how much memory it may take
    const child = spawn(join(ROOT, 'cli/main.ts'), ['run', '-c', file], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const agent = new AgentProcess(child, folder, options.folder === undefined);
    try {
      await agent.#until(
        'the agent to watch',
        () => agent.log.find((line) => line.includes('watching system calls')),
        READY_MILLIS,
      );
    } catch (error) {
      await agent.close();
      throw error;
    }
    return agent;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** What it has detected so far, the test's own markers left out. */
  get detections(): readonly Alert[] {
    return this.#detections.filter(({ rule }) => rule !== MARKER);
  }

  /** The first detection, past or to come, of a rule or with a property. */
  detection(wanted: string | ((alert: Alert) => boolean), timeoutMillis = 20_000): Promise<Alert> {
    const fits = typeof wanted === 'string' ? (alert: Alert) => alert.rule === wanted : wanted;
    return this.#until(`a detection (${wanted})`, () => this.#detections.find(fits), timeoutMillis);
  }

  /**
   * The detections that `act` caused in programs that it started, in the order of their events; waits until all of them are here. Needs no time where
   * there are none: afterwards a program runs that is always detected.
   */
  async caused(act: () => unknown): Promise<Alert[]> {
    const from = this.#detections.length;
    await act();
    const argument = `${MARKER_ARGUMENT}${++this.#markers}`;
    spawnSync('/bin/true', [argument]);
    const marks = (alert: Alert) =>
      alert.rule === MARKER && alert.output_fields['proc.args'] === argument && isOurs(alert);
    await this.#until(`the marker ${argument}`, () => this.#detections.find(marks), MARKER_MILLIS);
    return this.#detections.slice(from).filter((alert) => alert.rule !== MARKER && isOurs(alert));
  }

  /** The samples of /metrics: `name{label="value"}` -> value. */
  async metrics(): Promise<Map<string, number>> {
    const page = await (
      await fetch(await this.#url('/metrics'), { signal: AbortSignal.timeout(ANSWER_MILLIS) })
    ).text();
    const samples = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    );
  }

  /** GET of a path beside /metrics. */
  async get(path: '/healthz' | '/readyz'): Promise<{ status: number; body: unknown }> {
    const response = await fetch(await this.#url(path), { signal: AbortSignal.timeout(ANSWER_MILLIS) });
    return { status: response.status, body: await response.json() };
  }

  /** Ends it by a signal: it must say that all is well within its five seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const started = performance.now();
    this.child.kill(signal);
    const [code] = await this.exit();
    assert.equal(code, 0, `exit code of the agent; its log:\n${this.log.join('\n')}`);
    assert.ok(performance.now() - started < STOP_MILLIS, `the agent took ${performance.now() - started} ms to stop`);
  }

  /** Its exit code and signal, when it has ended and all that it printed is here. */
  exit(): Promise<[code: number | null, signal: string | null]> {
    return this.#exited;
  }

  /** For t.after: kills it if it still runs, and removes its folder. */
  async close(): Promise<void> {
    process.off('exit', this.#killWithUs);
    this.child.kill('SIGKILL');
    await this.#exited;
    if (this.#ownFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  async #url(path: string): Promise<string> {
    this.#metricsUrl ??= await this.#until('the address of the metrics', () => metricsUrl(this.log), 1000);
    return this.#metricsUrl.replace('/metrics', path);
  }

  #print(line: string): void {
    this.lines.push(line);
    this.#detections.push(JSON.parse(line) as Alert);
    this.#wake();
  }

  #tell(line: string): void {
    this.log.push(line);
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** What `find` finds, looked for again after every line and when the agent ends. */
  #until<Found>(what: string, find: () => Found | undefined, timeoutMillis: number): Promise<Found> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find();
        if (found !== undefined) settle(() => resolve(found));
        else if (this.child.exitCode !== null || this.child.signalCode !== null) fail('the agent ended');
      };
      const fail = (why: string) => settle(() => reject(new Error(`expected ${what}: ${why}\n${this.#story()}`)));
      const settle = (end: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        end();
      };
      const timer = setTimeout(() => fail(`nothing within ${timeoutMillis} ms`), timeoutMillis);
      this.#waiting.add(look);
      look();
    });
  }

  #story(): string {
    return [...this.log.slice(-10), ...this.lines.slice(-10)].join('\n');
  }
}

function ruleFiles({ bundled = [bundledRulesPath()], rulesFiles = [] }: AgentProcessOptions): string[] {
  return [...bundled, ...rulesFiles];
}

function configuration(folder: string, options: AgentProcessOptions): object {
  const { receiver = {}, processors, exporters = {}, service = {} } = options;
  return {
    receivers: { kernel: { rules_files: [...ruleFiles(options), join(folder, 'lineage.yaml')], ...receiver } },
    ...(processors === undefined ? {} : { processors }),
    exporters: { stdout: { format: 'json' }, prometheus: { port: 0 }, ...exporters },
    service: { store: { path: join(folder, 'store.db') }, ...service },
  };
}

/** Lets every rule also tell the ancestors of the process, by which a test knows its own; and detects the markers. */
async function lineageRules(rulesFiles: readonly string[]): Promise<string> {
  const { files } = await readRuleFiles(rulesFiles);
  const lineage = loadRules(files).rules.map(({ name }) => ({
    rule: name,
    output: ` | %${LINEAGE}`,
    override: { output: 'append' },
  }));
  const marker = {
    rule: MARKER,
    desc: 'Tells a test that everything before it has been seen.',
    condition: `evt.type = execve and proc.args startswith ${MARKER_ARGUMENT}`,
    output: `%proc.args | %${LINEAGE}`,
    priority: 'DEBUG',
  };
  return JSON.stringify([...lineage, marker]);
}

function isOurs(alert: Alert): boolean {
  const ancestors = alert.output_fields[LINEAGE]; // missing in what the agent detects of itself
  return Array.isArray(ancestors) && ancestors.includes(String(process.pid));
}

function metricsUrl(log: readonly string[]): string | undefined {
  const line = log.find((text) => text.includes('metrics are served'));
  return line && (JSON.parse(line) as { url: string }).url;
}
