import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Detection } from '../detection/detection.ts';
import { ShikraError } from '../errors.ts';
import {
  type AuditEvent,
  AuditParser,
  type AuditProblem,
  type AuditWebhook,
  type AuditWebhookOptions,
  type BatchOutcome,
  FileTail,
  Positions,
  type TailChunk,
} from '../sources/k8s-audit/index.ts';
import type { AuditStats } from '../telemetry/collector-stats.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AuditDetector } from './audit-detector.ts';
import { decodeRules, readRulesAside } from './load-aside.ts';
import type { RulesRequest } from './load-rules.ts';
import type { LoadedRule, ReloadOutcome } from './messages.ts';
import { ProblemLog } from './problem-log.ts';

export interface AuditCollectorOptions {
  readonly files: readonly string[];
  readonly startAt: 'end' | 'beginning';
  readonly maxEventBytes: number;
  readonly ruleMatching: 'first' | 'all';
  /** Where positions are kept; undefined keeps them in memory. */
  readonly positionsFile: string | undefined;
  readonly webhook: AuditWebhookOptions | undefined;
}

export interface AuditSink {
  emit(detection: Detection): void;
  /** Writes what was emitted. @returns false if it is not on disk yet */
  stored(): boolean;
  /** Nothing is read any more. */
  onDeath(error: Error): void;
  readonly logger: Logger;
}

/** A file is looked at so often; a look at one that has nothing new are two calls. */
const POLL_MILLIS = 250;
/** After something failed that may be right again by then. */
const RETRY_MILLIS = 1000;
const SAVE_MILLIS = 1000;
/** Work without a break for others in this thread; one event is never divided. */
const SLICE_MILLIS = 5;

/**
 * Joins audit events, the rules on them, and the way to the store. Lives in the main thread, in short slices. A position moves on when the detections before
 * it are on disk: what is read twice after a crash is recognised by its uuid, and nothing is left out.
 */
export class AuditCollector {
  readonly warnings: readonly string[];
  readonly #options: AuditCollectorOptions;
  readonly #detector: AuditDetector;
  readonly #parser: AuditParser;
  readonly #positions: Positions;
  readonly #stop = new AbortController();
  /** Files that cannot be read, with the reason. */
  readonly #troubles = new Map<string, string>();
  #webhook: AuditWebhook | undefined;
  #sink: AuditSink | undefined;
  #problems: ProblemLog | undefined;
  #loops: Promise<unknown> = Promise.resolve();
  #sliceStarted = 0;

  private constructor(options: AuditCollectorOptions, detector: AuditDetector, warnings: readonly string[]) {
    this.#options = options;
    this.#detector = detector;
    this.warnings = warnings;
    this.#parser = new AuditParser({ maxBytes: options.maxEventBytes });
    this.#positions = new Positions(options.positionsFile);
  }

  /**
   * Has the rules read aside, and compiles them. Nothing else is started.
   * @throws ShikraError RULES_INVALID with every mistake
   */
  static async load(options: AuditCollectorOptions, request: RulesRequest): Promise<AuditCollector> {
    const reading = await readRulesAside(request);
    const read = decodeRules(await reading.bytes);
    if (!read.ok) throw new ShikraError('RULES_INVALID', read.errors.map((error) => `\n${error}`).join(''));
    return new AuditCollector(options, await AuditDetector.create(read, options.ruleMatching), read.warnings);
  }

  get rules(): readonly LoadedRule[] {
    return this.#detector.rules;
  }

  get stats(): AuditStats {
    const { accepted, rejected } = this.#parser.stats;
    return { events: accepted, rejected, rules: this.#detector.stats };
  }

  /** Where batches are taken, once it has begun; undefined without a webhook. */
  get webhookUrl(): string | undefined {
    return this.#webhook?.url;
  }

  /** For `/readyz`. A file that cannot be read does not make the agent unready: a restart would help nobody. */
  get status(): string {
    return this.#troubles.size === 0 ? 'ok' : [...this.#troubles.values()].join('; ');
  }

  /** Begins to read. Once. @throws ShikraError ADDRESS_IN_USE or CONFIG_INVALID */
  async begin(sink: AuditSink): Promise<void> {
    this.#sink = sink;
    this.#problems = new ProblemLog((message) => sink.logger.warn(message));
    try {
      await this.#positions.load();
    } catch (error) {
      const start = `the logs are read from their ${this.#options.startAt}, as if for the first time`;
      sink.logger.error({ err: error }, `the positions in '${this.#options.positionsFile}' cannot be read: ${start}`);
    }
    this.#positions.keep(this.#options.files);
    await this.#listen(sink.logger);
    const loops = [...this.#options.files.map((path) => this.#follow(path)), this.#savePositions()];
    this.#loops = Promise.all(loops).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) sink.onDeath(error as Error);
    });
  }

  /** Swaps the rules. @param rules for {@link decodeRules} */
  adopt(rules: Uint8Array): Promise<ReloadOutcome> {
    return this.#detector.adopt(decodeRules(rules));
  }

  /** Ends what was begun with, writes the positions. Calling it twice is fine. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#webhook?.close();
    await this.#loops;
    this.#problems?.close();
    await this.#save();
  }

  async #listen(logger: Logger): Promise<void> {
    const { webhook } = this.#options;
    if (webhook === undefined) return;
    const { AuditWebhook } = await import('../sources/k8s-audit/webhook.ts');
    this.#webhook = await AuditWebhook.open(webhook, (text, sender) => this.#takeBatch(text, sender));
    logger.info({ url: this.webhookUrl }, 'audit events are taken');
    if (this.#webhook.isOpenToAll)
      logger.warn('whoever reaches the webhook can make events up: set bearer_token_file or tls.client_ca_file');
  }

  async #takeBatch(text: string, sender: string): Promise<BatchOutcome> {
    await nextTurn(); // making text of a large body was a slice of its own
    const { events, problems, rejected } = this.#parser.parse(text, '', this.#options.webhook!.maxBatchBytes);
    const failures: AuditProblem[] = [];
    for (const event of events) {
      await this.#rest();
      const failure = this.#detect(event);
      if (failure !== undefined) failures.push(failure);
    }
    const all = [...problems, ...failures];
    for (const problem of all) this.#problems!.tell([sender, problem.place], problem.message);
    if (!this.#sink!.stored()) return 'unavailable';
    return { accepted: events.length - failures.length, rejected: rejected + failures.length, problems: all };
  }

  async #follow(path: string): Promise<void> {
    const { startAt, maxEventBytes } = this.#options;
    const tail = new FileTail({
      path,
      startAt,
      position: this.#positions.get(path),
      maxLineBytes: maxEventBytes,
      onNotice: ({ kind, message }) => this.#sink!.logger[kind === 'gap' ? 'warn' : 'info'](message),
    });
    try {
      while (!this.#stop.signal.aborted) {
        const chunk = await this.#read(tail, path);
        if (chunk === undefined) {
          await this.#pause(this.#troubles.has(path) ? RETRY_MILLIS : POLL_MILLIS);
        } else {
          await this.#take(chunk);
          if (!(await this.#untilStored())) return;
          this.#positions.set(path, chunk.position);
        }
      }
    } finally {
      await tail.close();
    }
  }

  async #read(tail: FileTail, path: string): Promise<TailChunk | undefined> {
    try {
      const chunk = await tail.read();
      if (this.#troubles.delete(path)) this.#sink!.logger.info(`'${path}' can be read again`);
      return chunk;
    } catch (error) {
      const message = `'${path}' cannot be read: ${(error as Error).message}`;
      if (this.#troubles.get(path) !== message) {
        this.#troubles.set(path, message);
        this.#parser.reject('unreadable', message, path);
        this.#sink!.logger.error(`${message}; it is tried again every second`);
      }
      return undefined;
    }
  }

  async #take(chunk: TailChunk): Promise<void> {
    for (const { text, offset } of chunk.lines) {
      const problems = text === undefined ? [this.#tooLong()] : this.#takeLine(text);
      if (problems.length > 0) {
        const place = `${chunk.path}:${await chunk.lineAt(offset)}`;
        for (const problem of problems) this.#problems!.tell([place, problem.place], problem.message);
      }
      await this.#rest();
    }
  }

  #tooLong(): AuditProblem {
    const limit = `more than ${this.#options.maxEventBytes} bytes`;
    const remedy = 'raise receivers.k8s_audit.max_event_size, or log less in the audit policy';
    return this.#parser.reject('too_large', `a line of ${limit} is left out; ${remedy}`, '');
  }

  #takeLine(text: string): readonly AuditProblem[] {
    if (text.trim() === '') return [];
    const { events, problems } = this.#parser.parse(text);
    return [...problems, ...events.flatMap((event) => this.#detect(event) ?? [])];
  }

  /** An event that an evaluation cannot bear costs itself, not the agent. */
  #detect(event: AuditEvent): AuditProblem | undefined {
    try {
      for (const detection of this.#detector.detect(event)) this.#sink!.emit(detection);
      return undefined;
    } catch (error) {
      return this.#parser.reject('failed', `the rules failed on it: ${(error as Error).message}`, '');
    }
  }

  /** @returns false if it is not and there is no more time */
  async #untilStored(): Promise<boolean> {
    while (!this.#sink!.stored()) {
      if (this.#stop.signal.aborted) return false;
      await this.#pause(RETRY_MILLIS);
    }
    return true;
  }

  async #savePositions(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#pause(SAVE_MILLIS);
      await this.#save();
    }
  }

  async #save(): Promise<void> {
    try {
      await this.#positions.save();
    } catch (error) {
      const { positionsFile } = this.#options;
      const consequence = 'after a restart, events may be read again or left out';
      this.#problems?.tell(
        [],
        `the positions cannot be written to '${positionsFile}': ${(error as Error).message}; ${consequence}`,
      );
    }
  }

  /** Lets others have the thread when it was held long enough. */
  async #rest(): Promise<void> {
    if (performance.now() - this.#sliceStarted < SLICE_MILLIS) return;
    await nextTurn();
    this.#sliceStarted = performance.now();
  }

  async #pause(millis: number): Promise<void> {
    await sleep(millis, undefined, { signal: this.#stop.signal }).catch(() => {});
    this.#sliceStarted = performance.now();
  }
}
