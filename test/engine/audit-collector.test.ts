import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Detection } from '../../collector/detection/detection.ts';
import { AuditCollector, type AuditCollectorOptions } from '../../collector/engine/audit-collector.ts';
import { createLogger } from '../../collector/telemetry/logger.ts';
import { EXEC, event } from '../sources/k8s-audit/events.ts';

const RULES = `
- rule: Command in a pod
  desc: A test.
  source: k8s_audit
  condition: ka.target.subresource = exec
  output: "%ka.auditid %ka.uri"
  priority: WARNING
`;

/** A collector on one log, and a store that works or not. */
class Setting {
  readonly folder: string;
  readonly log: string;
  readonly positions: string;
  readonly detections: Detection[] = [];
  storeWorks = true;
  collector: AuditCollector | undefined;

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'shikra-audit-'));
    this.log = join(this.folder, 'audit.log');
    this.positions = join(this.folder, 'positions.json');
    writeFileSync(join(this.folder, 'rules.yaml'), RULES);
    t.after(async () => {
      await this.collector?.stop();
      rmSync(this.folder, { recursive: true });
    });
  }

  async begin(changes: Partial<AuditCollectorOptions> = {}): Promise<void> {
    const options: AuditCollectorOptions = {
      files: [this.log],
      startAt: 'beginning',
      maxEventBytes: 100_000,
      ruleMatching: 'first',
      positionsFile: this.positions,
      webhook: undefined,
      ...changes,
    };
    const rulesFiles = [join(this.folder, 'rules.yaml')];
    const receivers = { k8s_audit: rulesFiles };
    this.collector = await AuditCollector.load(options, {
      rulesFiles,
      ruleSelection: [],
      source: 'k8s_audit',
      receivers,
    });
    await this.collector.begin({
      emit: (detection) => this.detections.push(detection),
      stored: () => this.storeWorks,
      onDeath: (error) => assert.fail(error),
      logger: createLogger({ destination: new PassThrough().resume() }),
    });
  }

  append(...numbers: number[]): void {
    for (const number of numbers) {
      appendFileSync(this.log, `${JSON.stringify(event({ ...EXEC, auditID: `audit-${number}` }))}\n`);
    }
  }

  async detected(count: number): Promise<void> {
    for (let waited = 0; this.detections.length < count; waited += 20) {
      assert.ok(waited < 10_000, `expected ${count} detections, got ${this.detections.length}`);
      await sleep(20);
    }
  }

  get offset(): number | undefined {
    if (!existsSync(this.positions)) return undefined;
    return JSON.parse(readFileSync(this.positions, 'utf8')).files[this.log]?.offset;
  }
}

test('a log is not read on while detections cannot be stored, and its position stays before them', async (t) => {
  const it = new Setting(t);
  it.append(1);
  await it.begin();
  await it.detected(1);
  await it.collector!.stop();
  const before = it.offset;

  it.storeWorks = false;
  it.append(2);
  await it.begin();
  await it.detected(2);
  it.append(3);
  await sleep(600);
  assert.equal(it.detections.length, 2);
  await it.collector!.stop();
  assert.equal(it.offset, before);

  it.storeWorks = true;
  await it.begin();
  await it.detected(4);
  await it.collector!.stop();
  assert.deepEqual(
    it.detections.map(({ output_fields }) => output_fields['ka.auditid']),
    ['audit-1', 'audit-2', 'audit-2', 'audit-3'],
  );
  const [, second, again, third] = it.detections;
  assert.equal(again!.uuid, second!.uuid, 'what is read again is the same detection');
  assert.notEqual(third!.uuid, second!.uuid);
  assert.match(second!.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('an event with the id of another one is another detection', async (t) => {
  const it = new Setting(t);
  await it.begin();
  it.append(1);
  // The id is what the client sends as `Audit-ID`: it may send one twice.
  const other = event({
    ...EXEC,
    auditID: 'audit-1',
    requestURI: '/api/v1/namespaces/shop/pods/web-1/exec?command=sh',
  });
  appendFileSync(it.log, `${JSON.stringify(other)}\n`);
  await it.detected(2);
  assert.notEqual(it.detections[0]!.uuid, it.detections[1]!.uuid);
});

test('a batch whose detections cannot be stored is to be sent again', async (t) => {
  const it = new Setting(t);
  it.storeWorks = false;
  const webhook = { host: '127.0.0.1', port: 0, path: '/k8s-audit', maxBatchBytes: 100_000 };
  await it.begin({ files: [], webhook });
  const url = it.collector!.webhookUrl!;
  const send = () =>
    fetch(url, { method: 'POST', body: JSON.stringify(EXEC), headers: { 'content-type': 'application/json' } });
  const refused = await send();
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get('retry-after'), '5');
  assert.deepEqual(await refused.json(), { error: 'the detections could not be stored; send the batch again' });
  it.storeWorks = true;
  const taken = await send();
  assert.deepEqual([taken.status, await taken.json()], [200, { accepted: 1 }]);
  assert.equal(it.detections[0]!.uuid, it.detections[1]!.uuid);
});

test('it can be ended twice, and reads no more then', async (t) => {
  const it = new Setting(t);
  await it.begin({ positionsFile: undefined });
  await it.collector!.stop();
  await it.collector!.stop();
  it.append(1);
  await sleep(300);
  assert.equal(it.detections.length, 0);
  assert.ok(!existsSync(it.positions));
});
