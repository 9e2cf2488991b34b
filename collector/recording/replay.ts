import { type CheckedRule, domainNamesOf } from '../../rules/runtime.ts';
import type { Detection } from '../detection/detection.ts';
import { repeatableUuid } from '../detection/uuid.ts';
import { Detector } from '../engine/detector.ts';
import { ShikraError } from '../errors.ts';
import { ContainerTable } from '../event/container-table.ts';
import { DomainNames } from '../event/domain-names.ts';
import { EventStream } from '../sources/kernel/event-stream.ts';
import { EVENT_TYPE_NAMES, HEADER } from '../sources/kernel/layout.ts';
import { Memory } from '../sources/kernel/memory.ts';
import type { ResolvedPaths } from '../sources/kernel/path-links.ts';
import { newsFromJson } from './container-news.ts';
import { Entries } from './entries.ts';
import { KIND, type Losses } from './format.ts';
import {
  domainNamesSchema,
  lossesSchema,
  namesSchema,
  type RecordingHeader,
  type RecordingSummary,
  resolvedSchema,
  summarySchema,
} from './header.ts';
import type { Damage, RecordingReader } from './reader.ts';
import { layoutDifferences } from './record-layout.ts';

const NO_RECORDS = new Uint8Array(0);
const MOST_DIFFERENCES_SHOWN = 3;
const NOT_ENDED = 'it was not ended: whoever recorded it was killed, ran out of space, or records still';

export interface ReplayOptions {
  readonly rules: readonly CheckedRule[];
  readonly matching: 'first' | 'all';
}

/**
 * Shows the events of a recording to rules, and gives the detections that they would have made when it was recorded. All that they rest on comes from the
 * recording: no clock, no process and no file of this machine. The same recording and rules give the same detections, uuids included.
 */
export class Replay {
  readonly #reader: RecordingReader;
  readonly #stream: EventStream;
  readonly #containers: ContainerTable;
  readonly #detector: Detector;
  readonly #entries = new Entries(
    (kind, memory, at, length) => this.#take(kind, memory, at, length),
    (bytes) => new Memory(new Uint8Array(bytes).buffer),
  );
  #offsetNs: bigint;
  #clockMillis = 0;
  readonly #domainNames = new DomainNames();
  readonly #namesOfRules: ReadonlySet<string>;
  readonly #namesRecorded = new Set<string>();
  #users: Readonly<Record<string, string>> = {};
  #groups: Readonly<Record<string, string>> = {};
  /** What was asked of the kernel for the event that comes. */
  #answers: { readonly pid: number; readonly records: Uint8Array }[] = [];
  /** Where the paths of the event that comes led. */
  #resolved: ResolvedPaths | undefined;
  #detections: Detection[] = [];
  #events = 0;
  #unanswered = 0;
  #losses: Losses = {};
  #summary: RecordingSummary | undefined;
  #damage: Damage | undefined;

  /** @throws ShikraError RECORDING_INCOMPATIBLE if its records are laid out otherwise than those of this build */
  constructor(reader: RecordingReader, { rules, matching }: ReplayOptions) {
    const { header } = reader;
    refuseOtherLayout(header);
    this.#reader = reader;
    this.#namesOfRules = domainNamesOf(rules);
    this.#offsetNs = BigInt(header.clockOffsetNs);
    this.#containers = new ContainerTable({
      hasEngines: header.hasContainerEngines,
      onWanted: () => {},
      onDecided: (container) => this.#stream.table.decided(container),
    });
    this.#stream = new EventStream({ ...header, containers: this.#containers, read: (pid) => this.#answer(pid) });
    this.#detector = new Detector({
      context: {
        table: this.#stream.table,
        clock: { wallNs: (kernelNs) => BigInt(kernelNs) + this.#offsetNs },
        users: { name: (id) => this.#users[id] },
        groups: { name: (id) => this.#groups[id] },
        hostname: header.hostname,
        domainNames: this.#domainNames,
      },
      containers: this.#containers,
      rules,
      matching,
      holdMillis: header.containerHoldMillis,
      now: () => this.#clockMillis,
      wakeIn: () => {}, // every turn that let something go was recorded
      hasRoom: () => true,
      stamp: (timeNs, event, rule) => ({
        uuid: repeatableUuid(timeNs, header.bootId, header.startedAt, String(event.number), rule.name),
        observedNs: timeNs,
      }),
      onDetection: (detection) => this.#detections.push(detection),
    });
  }

  /** Event types that the rules look at and that were not recorded. */
  get notRecorded(): string[] {
    const recorded = new Set(this.#reader.header.eventTypes);
    return [...this.#detector.wanted.types].filter((name) => !recorded.has(name));
  }

  /** Domain names that the rules name, and whose addresses were not recorded: known when it has been run. */
  get namesNotRecorded(): string[] {
    return [...this.#namesOfRules].filter((name) => !this.#namesRecorded.has(name));
  }

  get events(): number {
    return this.#events;
  }

  /** Questions about processes that the recording has no answer to: the recorder's process table worked otherwise. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Lost while it was recorded. */
  get losses(): Losses {
    return this.#summary?.losses ?? this.#losses;
  }

  /** Why it was not read to its end; undefined if it was. */
  get damage(): Damage | undefined {
    return this.#damage;
  }

  /** Works through the recording, once. Gives the detections of each block, in the order in which they are made. */
  *run(): Generator<readonly Detection[], void> {
    for (let block = this.#reader.next(); block !== undefined; block = this.#reader.next()) {
      try {
        if (this.#summary !== undefined) throw new Error('something follows its end');
        this.#entries.read(block);
      } catch (error) {
        this.#damage = { offset: block.offset, what: (error as Error).message };
      }
      yield this.#flush();
      if (this.#damage !== undefined) break;
    }
    this.#damage ??= this.#reader.damage;
    if (this.#summary === undefined) this.#damage ??= { offset: this.#reader.offset, what: NOT_ENDED };
    this.#detector.releaseAll();
    yield this.#flush();
  }

  #flush(): readonly Detection[] {
    const detections = this.#detections;
    this.#detections = [];
    return detections;
  }

  #take(kind: number, memory: Memory, at: number, length: number): void {
    switch (kind) {
      case KIND.EVENT:
        this.#see(memory, at, length);
        break;
      case KIND.PROCESSES:
        this.#takeProcesses(memory, at, length);
        break;
      case KIND.TICK:
        this.#stream.table.tick(memory.u64(at));
        this.#offsetNs = memory.bytes.readBigInt64LE(at + 8);
        break;
      case KIND.CLOCK:
        this.#clockMillis = memory.bytes.readDoubleLE(at);
        if (memory.u32[(at + 8) >>> 2] === 1) this.#detector.release();
        break;
      default:
        this.#takeText(kind, memory.bytes.toString('utf8', at, at + length));
    }
  }

  #takeText(kind: number, json: string): void {
    if (kind === KIND.NAMES) ({ users: this.#users, groups: this.#groups } = namesSchema.parse(JSON.parse(json)));
    else if (kind === KIND.CONTAINER) this.#detector.hear(newsFromJson(json));
    else if (kind === KIND.DOMAIN_NAMES) this.#takeDomainNames(json);
    else if (kind === KIND.RESOLVED) this.#resolved = resolvedSchema.parse(JSON.parse(json));
    else if (kind === KIND.LOSSES) this.#losses = lossesSchema.parse(JSON.parse(json));
    else if (kind === KIND.END) this.#summary = summarySchema.parse(JSON.parse(json));
    else throw new Error(`an entry of kind ${kind}, which this version does not know`);
  }

  #takeDomainNames(json: string): void {
    const addresses = domainNamesSchema.parse(JSON.parse(json));
    for (const name of Object.keys(addresses)) this.#namesRecorded.add(name);
    this.#domainNames.tell(addresses);
  }

  #see(memory: Memory, at: number, length: number): void {
    const size = memory.u16[(at + HEADER.size) >>> 1]!;
    const type = memory.u16[(at + HEADER.type) >>> 1]!;
    if (size !== length || !EVENT_TYPE_NAMES[type])
      throw new Error(`no event: type ${type}, ${size} of ${length} bytes`);
    this.#events++;
    const event = this.#stream.take(memory, at, this.#resolved);
    this.#resolved = undefined;
    if (this.#answers.length > 0) this.#answers = [];
    if (event !== undefined) this.#detector.see(event);
  }

  #takeProcesses(memory: Memory, at: number, length: number): void {
    const pid = memory.u32[at >>> 2]!;
    const records = memory.bytes.subarray(at + 8, at + length);
    let next = 0;
    while (next < records.length) {
      const size = memory.u16[(at + 8 + next + HEADER.size) >>> 1]!;
      if (size < 8 || size % 8 !== 0 || next + size > records.length)
        throw new Error(`a process record of ${size} bytes`);
      next += size;
    }
    this.#answers.push({ pid, records: new Uint8Array(records) });
    if (pid !== 0) return;
    // all of them are asked for at the start, and after a loss
    if (this.#stream.table.size === 0) this.#stream.table.fill();
    else this.#stream.table.recover();
  }

  #answer(pid: number): Uint8Array {
    const index = this.#answers.findIndex((answer) => answer.pid === pid);
    if (index >= 0) return this.#answers.splice(index, 1)[0]!.records;
    this.#unanswered++;
    return NO_RECORDS;
  }
}

function refuseOtherLayout({ version, layout }: RecordingHeader): void {
  const differences = layoutDifferences(layout);
  if (differences.length === 0) return;
  const shown = differences.slice(0, MOST_DIFFERENCES_SHOWN).join('; ');
  const more = differences.length > MOST_DIFFERENCES_SHOWN ? `; ${differences.length} differences in all` : '';
  throw new ShikraError(
    'RECORDING_INCOMPATIBLE',
    `Shikra ${version} recorded it, whose records are laid out otherwise: ${shown}${more}`,
  );
}
