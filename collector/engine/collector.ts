import { hostname } from 'node:os';
import { type CheckedRule, domainNamesOf } from '../../rules/runtime.ts';
import type { ContainerNews } from '../containers/news.ts';
import type { Detection } from '../detection/detection.ts';
import { stringifyExact } from '../detection/json.ts';
import { nowNanos } from '../detection/time.ts';
import { uuidv7 } from '../detection/uuid.ts';
import { ShikraError } from '../errors.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import { DomainNames, MOST_NAMES, type ToldName } from '../event/domain-names.ts';
import { collectGarbage } from '../garbage.ts';
import { type Probe, releaseFreeMemory } from '../sources/kernel/probe.ts';
import { KernelSource } from '../sources/kernel/source.ts';
import { COLLECTED_EVENT_TYPES } from '../sources/kernel/system-calls.ts';
import type { CollectorStats } from '../telemetry/collector-stats.ts';
import { type DetectionStamp, Detector, wantedBy, wantedInSteps } from './detector.ts';
import { type Flooder, FloodWatch } from './flood-watch.ts';
import { gathered } from './gathered.ts';
import { LatencyHistogram } from './latency.ts';
import { decodeRules, readRulesAside, rulesInSteps, rulesOf } from './load-aside.ts';
import type { CollectorOptions, FromCollector, LoadedRule, ReloadOutcome } from './messages.ts';
import { RuleTotals } from './rule-totals.ts';
import type { ReadRules } from './rules-worker.ts';

/**
 * So many detections may be on their way to the disk; then the rings wait, and if they fill, the kernel counts the loss. Far below
 * what the store keeps in memory while the disk fails (service.store.max_pending): a flood is never taken for that. About what the store writes at once: more
 * only waits in memory: with 2000 the agent grew by some 60 MiB in a flood.
 */
const CREDIT = 500;
/** In one message. What waited for more would grow old in both threads, and garbage that is old is dear. */
const MESSAGE_DETECTIONS = 50;
const TICK_MILLIS = 1000;
/** By then the main thread has loaded all that it needs, and let go of what it needed for that. */
const TRIM_AFTER_TICKS = 2;
/** V8 lets garbage grow as long as there is room; on a node the room is others'. */
const TIDY_TICKS = 60;
/** So long after the canaries were sent, their process has ended. */
const CANARY_MILLIS = 50;
/** Work on new rules is done for so long at a time; then the rings are looked after. */
const TURN_MILLIS = 4;
/** For so long the first events wait for the addresses of the names that rules name; what is not known by then comes later. */
const FIRST_NAMES_MILLIS = 1000;

/** Joins the kernel's events, the rules, and the way to the main thread. Lives in a thread of its own (worker.ts). */
export class Collector {
  readonly #source: KernelSource;
  readonly #detector: Detector;
  readonly #domainNames: DomainNames;
  /** Since the last tick. */
  readonly #namesTold: ToldName[] = [];
  /** Those that the rules in force name. */
  #names: ReadonlySet<string> = new Set();
  readonly #totals = new RuleTotals();
  readonly #send: (message: FromCollector) => void;
  readonly #latency = new LatencyHistogram();
  readonly #floods = new FloodWatch((cgroupId) => this.#flooder(cgroupId));
  #pending: string[] = [];
  #credit = CREDIT;
  /** Compiled and warm: events can be looked at. */
  #begun = false;
  #turnPlanned = false;
  readonly #stopped = Promise.withResolvers<void>();
  #stopAt: number | undefined;
  #ended = false;
  #ticks = 0;
  #ticker: NodeJS.Timeout | undefined;
  #canaryTimer: NodeJS.Timeout | undefined;
  #waker: NodeJS.Timeout | undefined;

  private constructor(
    options: CollectorOptions,
    source: KernelSource,
    rules: readonly CheckedRule[],
    send: (message: FromCollector) => void,
  ) {
    this.#send = send;
    this.#source = source;
    this.#domainNames = new DomainNames({ onTold: (told) => this.#namesTold.push(told) });
    this.#detector = new Detector({
      context: { ...pick(this.#source), hostname: hostname(), domainNames: this.#domainNames },
      containers: source.containers,
      rules,
      matching: options.ruleMatching,
      holdMillis: options.containerHoldMillis,
      now: () => performance.now(),
      wakeIn: (millis) => this.#wakeIn(millis),
      hasRoom: () => this.#pending.length < this.#credit,
      stamp: (timeNs) => this.#stamp(timeNs),
      onDetection: (detection) => this.#detected(detection),
    });
  }

  /**
   * Has the rules read aside, compiles them while the probe is being loaded, attaches it as soon as it is there, and goes on compiling if need be: what
   * happens from then on waits in the rings.
   * @param loading the probe, which is the collector's from now on
   * @throws ShikraError RULES_INVALID with every mistake, or PROBE_*
   */
  static async start(
    options: CollectorOptions,
    loading: Promise<Probe>,
    send: (message: FromCollector) => void,
  ): Promise<Collector> {
    const reading = await readRulesAside(options.rules);
    const onContainerWanted = gathered<ContainerRequest>((requests) => send({ type: 'wanted', requests }));
    const source = new KernelSource({ ...options, onContainerWanted, hasCanaries: options.canaryIntervalMillis > 0 });
    try {
      const read = decodeRules(await reading.bytes);
      if (!read.ok) throw new ShikraError('RULES_INVALID', read.errors.map((error) => `\n${error}`).join(''));
      const rules = rulesOf(read);
      const collector = new Collector(options, source, rules, send);
      const names = domainNamesOf(rules);
      const excess = tooMany(names);
      if (excess !== undefined) throw new ShikraError('RULES_INVALID', `\n${excess}`);
      collector.#names = names;
      collector.#domainNames.ask(names);
      const compiled = collector.#inTurns(collector.#detector.engine.compile(), []);
      source.open(await loading);
      collector.#attach();
      await compiled;
      await collector.#domainNames.settled(FIRST_NAMES_MILLIS);
      collector.#detector.engine.settle();
      collectGarbage(); // what happens meanwhile waits in the rings
      collector.#begin([...read.warnings, ...collector.#countRuns(options.programStatistics)]);
      collector.#sendCanaries(options.canaryIntervalMillis);
      return collector;
    } catch (error) {
      reading.cancel();
      // Nothing can be closed before it is open.
      await loading.then(
        (probe) => probe.close(),
        () => {},
      );
      throw error;
    }
  }

  /** The main thread has taken over so many detections. */
  taken(count: number): void {
    this.#credit += count;
    this.#planTurn();
  }

  /** A container engine told something. What waited for it goes on. */
  hear(news: ContainerNews): void {
    if (this.#detector.hear(news)) this.#planTurn();
  }

  sendStats(): void {
    this.#send({ type: 'stats', stats: this.#stats() });
  }

  /** Compiles new rules between the events, and swaps them in. Those that could not be loaded leave the old ones in force. */
  async adopt(rules: Uint8Array): Promise<void> {
    const started = performance.now();
    const loaded = decodeRules(rules);
    const pauses = [performance.now() - started];
    this.#send({ type: 'adopted', outcome: loaded.ok ? await this.#swap(loaded, pauses) : loaded });
  }

  /** @param pauses how long the rings were left alone, in milliseconds; more are added */
  async #swap(read: Extract<ReadRules, { ok: true }>, pauses: number[]): Promise<ReloadOutcome> {
    const rules = await this.#inTurns(rulesInSteps(read), pauses);
    const names = domainNamesOf(rules);
    const excess = tooMany(names);
    if (excess !== undefined) return { ok: false, errors: [excess] };
    // Until the swap the old rules need what they needed.
    this.#domainNames.ask([...names, ...this.#names]);
    const after = await this.#inTurns(this.#detector.engineFor(rules).compile(), pauses);
    await this.#inTurns(wantedInSteps(after), pauses);
    after.settle();
    await this.#inTurns(this.#source.rehearse(after), pauses);
    await this.#domainNames.settled(FIRST_NAMES_MILLIS);
    if (this.#ended) return { ok: false, errors: ['the agent is being stopped'] };
    const started = performance.now();
    const before = this.#detector.engine;
    after.inherit(before);
    try {
      // Until the swap the old rules need what they needed, from then on the new ones what they need.
      if (this.#stopAt === undefined) this.#source.want(wantedBy(before, after));
      this.#totals.add(before);
      this.#detector.engine = after;
      if (this.#stopAt === undefined) this.#source.want(wantedBy(after));
    } catch (error) {
      if (!(error instanceof ShikraError)) throw error;
      this.#domainNames.ask(this.#names);
      return { ok: false, errors: [error.message] };
    }
    this.#names = names;
    this.#domainNames.ask(names);
    pauses.push(performance.now() - started);
    return { ok: true, rules: this.#ruleNames(), warnings: read.warnings, longestPauseMillis: Math.max(...pauses) };
  }

  /** Does work in short turns, with the rings looked after in between. */
  async #inTurns<Result>(steps: Generator<undefined, Result>, pauses: number[]): Promise<Result> {
    for (;;) {
      const started = performance.now();
      let step = steps.next();
      while (!step.done && performance.now() - started < TURN_MILLIS) step = steps.next();
      pauses.push(performance.now() - started);
      if (step.done) return step.value;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Detaches, works through what the kernel left in the rings, as fast as the main thread takes it, sends the last detections. */
  stop(limitMillis: number): Promise<void> {
    if (this.#stopAt === undefined) {
      this.#stopAt = performance.now() + limitMillis;
      clearInterval(this.#ticker);
      clearInterval(this.#canaryTimer);
      this.#source.detach();
      setTimeout(() => this.#end(), limitMillis).unref();
      this.#planTurn();
    }
    return this.#stopped.promise;
  }

  #attach(): void {
    this.#source.want(this.#detector.wanted);
    this.#source.start(
      (event) => this.#detector.see(event),
      () => this.#begun && this.#turn(),
    );
  }

  #begin(warnings: readonly string[]): void {
    for (const _ of this.#source.rehearse(this.#detector.engine));
    this.#begun = true;
    this.#planTurn();
    this.#ticker = setInterval(() => this.#tick(), TICK_MILLIS);
    this.#send({
      type: 'ready',
      rules: this.#ruleNames(),
      eventTypes: [...COLLECTED_EVENT_TYPES],
      warnings,
    });
  }

  /** @returns a warning if the kernel refuses: all else goes on without */
  #countRuns(wanted: boolean): string[] {
    if (!wanted) return [];
    try {
      this.#source.countRuns();
      return [];
    } catch (error) {
      const { message } = error as Error;
      return [`receivers.kernel.program_statistics: ${message}; grant CAP_SYS_ADMIN, or leave it out`];
    }
  }

  #sendCanaries(intervalMillis: number): void {
    if (intervalMillis === 0) return;
    const next = (): void => {
      const report = this.#source.nextCanaries();
      if (report !== undefined) this.#send({ type: 'canaries', report });
      setTimeout(() => this.#ended || this.#source.endCanaries(), CANARY_MILLIS).unref();
    };
    next();
    this.#canaryTimer = setInterval(next, intervalMillis);
  }

  #tick(): void {
    this.#source.tick();
    if (this.#namesTold.length > 0) this.#send({ type: 'domain_names', names: this.#namesTold.splice(0) });
    this.#tellFloods();
    if (++this.#ticks === TRIM_AFTER_TICKS) releaseFreeMemory();
    // It stands still for some ten milliseconds: only if the rings have room for what happens meanwhile.
    if (this.#ticks % TIDY_TICKS === 0 && !this.#source.isBehind) collectGarbage();
  }

  #tellFloods(isLast = false): void {
    const told = this.#floods.look(this.#source.refusals(), performance.now(), isLast);
    if (told.length === 0) return;
    for (const detection of told) this.#pending.push(stringifyExact(detection));
    this.#planTurn();
  }

  #flooder(cgroupId: number): Flooder {
    const cgroupPath = this.#source.table.cgroupPath(cgroupId);
    const container = cgroupPath === undefined ? undefined : this.#source.containers.of(cgroupPath);
    return { cgroupPath, container };
  }

  /** Drains for a while, then lets messages in. Without credit it waits: taken() goes on. */
  #turn(): void {
    this.#turnPlanned = false;
    if (this.#ended || this.#credit <= 0) return;
    this.#detector.release();
    const more = this.#source.drain();
    this.#flush();
    if (this.#stopAt !== undefined && (this.#source.waitingBytes === 0 || performance.now() > this.#stopAt))
      this.#end();
    else if (more || this.#stopAt !== undefined) this.#planTurn();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#detector.releaseAll();
    this.#tellFloods(true);
    this.#flush();
    this.#send({ type: 'stopped', stats: this.#stats(), leftBytes: this.#source.waitingBytes });
    this.#source.close();
    this.#domainNames.close();
    this.#stopped.resolve();
  }

  #wakeIn(millis: number | undefined): void {
    clearTimeout(this.#waker);
    this.#waker = millis === undefined ? undefined : setTimeout(() => this.#planTurn(), millis);
  }

  #planTurn(): void {
    if (this.#turnPlanned) return;
    this.#turnPlanned = true;
    setImmediate(() => this.#turn());
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    this.#credit -= this.#pending.length;
    this.#send({ type: 'detections', detections: this.#pending, behind: this.#source.isBehind });
    this.#pending = [];
  }

  #stamp(timeNs: bigint): DetectionStamp {
    const observedNs = nowNanos();
    this.#latency.observe(Number(observedNs - timeNs) / 1e9);
    return { uuid: uuidv7(observedNs), observedNs };
  }

  #detected(detection: Detection): void {
    this.#pending.push(stringifyExact(detection));
    if (this.#pending.length >= MESSAGE_DETECTIONS) this.#flush();
    if (this.#pending.length >= this.#credit) this.#source.pause();
  }

  #ruleNames(): LoadedRule[] {
    return this.#detector.engine.ruleset.rules.map(({ name, priority, source }) => ({ name, priority, source }));
  }

  #stats(): CollectorStats {
    return {
      ...this.#source.stats(),
      ...this.#totals.with(this.#detector.engine),
      latency: this.#latency.snapshot(),
      domainNames: this.#domainNames.stats(),
      containers: {
        ...this.#source.containers.count(),
        held: this.#detector.held,
        detectionsWithout: this.#detector.detectionsWithout,
        looksWithout: this.#source.containers.missed,
      },
    };
  }
}

/** A name that is not resolved would make its check false: such rules are refused. */
function tooMany(names: ReadonlySet<string>): string | undefined {
  if (names.size <= MOST_NAMES) return undefined;
  return `the rules compare addresses with ${names.size} domain names, expected at most ${MOST_NAMES}: more cannot be kept resolved; leave rules out, or write networks (fd.snet)`;
}

function pick({
  table,
  clock,
  users,
  groups,
}: KernelSource): Pick<KernelSource, 'table' | 'clock' | 'users' | 'groups'> {
  return { table, clock, users, groups };
}
