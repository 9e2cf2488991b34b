import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { decodeRules, readRulesAside, rulesOf } from '../../collector/engine/load-aside.ts';
import type { RulesRequest } from '../../collector/engine/load-rules.ts';

const folder = mkdtempSync(join(tmpdir(), 'shikra-rules-aside-'));
const cacheHome = process.env.XDG_CACHE_HOME;
const cache = join(folder, 'cache');
const kept = join(cache, 'shikra', 'rules');
const rulesFile = join(folder, 'rules.yaml');

beforeEach(() => {
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache);
  process.env.XDG_CACHE_HOME = cache;
  writeRules('Passwords read');
});

after(() => {
  if (cacheHome === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheHome;
  rmSync(folder, { recursive: true });
});

function writeRules(name: string): void {
  const condition = 'evt.type = openat and fd.name = /etc/shadow';
  writeFileSync(
    rulesFile,
    `- rule: ${name}\n  desc: A test.\n  condition: ${condition}\n  output: opened\n  priority: ERROR\n`,
  );
}

function request(more: Partial<RulesRequest> = {}): RulesRequest {
  return { rulesFiles: [rulesFile], ruleSelection: [], source: 'syscall', receivers: {}, ...more };
}

async function read(asked = request()) {
  const reading = await readRulesAside(asked);
  return decodeRules(await reading.bytes);
}

async function names(asked?: RulesRequest): Promise<string[]> {
  const rules = await read(asked);
  assert.ok(rules.ok);
  return rulesOf(rules).map(({ name }) => name);
}

/** The one file of the cache. */
function keptFile(): string {
  const [name, ...others] = readdirSync(kept);
  assert.deepEqual(others, []);
  return join(kept, name!);
}

test('rules that were read before come from the cache, and are the same', async () => {
  const first = await read();
  const file = keptFile();
  const { mtimeMs } = statSync(file);
  assert.deepEqual(await read(), first);
  assert.equal(statSync(keptFile()).mtimeMs, mtimeMs);
});

test('a rule file that has changed is read again', async () => {
  assert.deepEqual(await names(), ['Passwords read']);
  writeRules('Shadow read');
  assert.deepEqual(await names(), ['Shadow read']);
});

test('another selection of the same rules is another reading', async () => {
  await read();
  const rules = await read(request({ ruleSelection: [{ disable: { rule: 'Passwords*' } }] }));
  assert.ok(rules.ok);
  assert.equal(rulesOf(rules)[0]!.enabled, false);
});

test('rules with mistakes are told with their places, and not kept', async () => {
  writeFileSync(rulesFile, '- rule: Broken\n  desc: d\n  condition: evt.type = \n  output: o\n  priority: ERROR\n');
  const rules = await read();
  assert.ok(!rules.ok);
  assert.match(rules.errors.join('\n'), /rules\.yaml:3/);
  assert.throws(() => readdirSync(kept), { code: 'ENOENT' });
});

test('a file of the cache that is damaged is not believed', async () => {
  await read();
  const content = readFileSync(keptFile());
  content.writeUInt8(content.readUInt8(content.length - 20) ^ 1, content.length - 20);
  writeFileSync(keptFile(), content);
  assert.deepEqual(await names(), ['Passwords read']);
  writeFileSync(keptFile(), '');
  assert.deepEqual(await names(), ['Passwords read']);
});

test('a cache that others may write to is not believed', async () => {
  await read();
  const file = keptFile();
  const forged = readFileSync(file);
  chmodSync(file, 0o666);
  writeFileSync(file, forged);
  assert.deepEqual(await names(), ['Passwords read']);
  assert.equal(statSync(file).mode & 0o777, 0o600, 'it was written anew');
  chmodSync(kept, 0o777);
  const { mtimeMs } = statSync(file);
  assert.deepEqual(await names(), ['Passwords read']);
  assert.notEqual(statSync(file).mtimeMs, mtimeMs, 'it was read from the rule file');
});

test('without a place for a cache the rules are read each time', async () => {
  process.env.XDG_CACHE_HOME = join(rulesFile, 'not-a-folder');
  assert.deepEqual(await names(), ['Passwords read']);
  assert.deepEqual(await names(), ['Passwords read']);
});

test('the cache keeps a few readings, the latest', async () => {
  for (let i = 0; i < 10; i++) {
    writeRules(`Rule ${i}`);
    assert.deepEqual(await names(), [`Rule ${i}`]);
  }
  assert.equal(readdirSync(kept).length, 8);
});

test('what the reading process dies of is an error, not the death of the agent', async () => {
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = '--require=/nonexistent/module.cjs';
  try {
    const rules = await read();
    assert.ok(!rules.ok);
    assert.match(rules.errors[0]!, /^the rules could not be loaded: .* ended with code 1: .*nonexistent/);
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
});

test('a reading that nobody waits for is ended', async () => {
  const reading = await readRulesAside(request());
  reading.cancel();
  const rules = decodeRules(await reading.bytes);
  assert.ok(!rules.ok);
  assert.match(rules.errors[0]!, /SIGKILL/);
});
