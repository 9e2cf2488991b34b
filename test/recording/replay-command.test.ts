import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { shikra } from '../cli/run-shikra.ts';
import { makeUp, RULES_TEXT } from './made-up.ts';

let folder: string;
let rules: string;
const path = (name: string) => join(folder, name);
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'shikra-replay-'));
  rules = path('rules.yaml');
  writeFileSync(rules, RULES_TEXT);
  makeUp(path('recording'));
});
after(() => rmSync(folder, { recursive: true }));

/** What it says without how long it took. */
function replay(...parameters: string[]) {
  const { code, stdout, stderr } = shikra(['replay', ...parameters]);
  return {
    code,
    lines: stdout.split('\n').slice(0, -1),
    said: stderr
      .replaceAll(folder, 'FOLDER')
      .replace(/in \d+\.\d s/, 'in T s')
      .split('\n')
      .slice(0, -1),
  };
}

const SUMMARY = 'shikra: 3 events of recorded-host from 2026-11-21T22:00:00.000Z on, in T s: 3 detections';

describe('shikra replay', () => {
  it('prints JSON lines in a pipe, with the host and the time of the recording', () => {
    const { code, lines, said } = replay(path('recording'), '--rules', rules);
    assert.equal(code, 0);
    assert.deepEqual(said, [SUMMARY]);
    const detections = lines.map((line) => JSON.parse(line));
    assert.deepEqual(
      detections.map(({ rule, time, hostname }) => [rule, time, hostname]),
      [0, 1, 2].map((number) => ['Opened', `2026-11-21T22:00:01.00000000${number}Z`, 'recorded-host']),
    );
    assert.deepEqual(lines, replay(path('recording'), '--rules', rules).lines, 'the same each time');
  });

  it('prints text if asked to', () => {
    const { lines } = replay(path('recording'), '--rules', rules, '--format', 'text');
    const first = '22:00:01.000000000: Notice /made/up/0 by somebody, 2026-11-21T22:00:01.000000000Z on recorded-host';
    assert.equal(lines[0], first);
  });

  it('takes the rules and their matching from a configuration', () => {
    const config = path('config.yaml');
    writeFileSync(
      config,
      `receivers: {kernel: {rules_files: [rules.yaml], capture_env: [LD_PRELOAD]}}\nservice: {store: {path: ":memory:"}}\n`,
    );
    const { code, lines, said } = replay(path('recording'), '-c', config);
    assert.equal(code, 0);
    assert.equal(lines.length, 3);
    assert.deepEqual(said, [
      'shikra: warning: FOLDER/recording: environment variables that were not recorded: LD_PRELOAD',
      SUMMARY,
    ]);
    assert.equal(replay(path('recording'), '-c', config, '--rules', rules).code, 2);
  });

  it('says what rules look at and was not recorded, and what was lost while it was', () => {
    makeUp(path('less'), { header: { eventTypes: ['execve', 'open'] }, losses: { ring_full: 7, read_failed: 2 } });
    const { code, said } = replay(path('less'), '--rules', rules);
    assert.equal(code, 0);
    assert.deepEqual(said, [
      'shikra: warning: FOLDER/less: event types that rules look at and that were not recorded (see --all): openat',
      'shikra: warning: FOLDER/less: lost while it was recorded: 7 events (ring_full)',
      SUMMARY,
    ]);
  });

  it('replays a file that is cut off as far as it goes, says where, and fails', () => {
    const whole = readFileSync(path('recording'));
    writeFileSync(path('cut'), whole.subarray(0, -150));
    const { code, lines, said } = replay(path('cut'), '--rules', rules);
    assert.equal(code, 1);
    assert.equal(lines.length, 2);
    assert.match(
      said.at(-1)!,
      /^shikra: warning: FOLDER\/cut: read as far as byte \d+: the file is cut off within the block that begins there$/,
    );
  });

  it('refuses what is no recording, with a remedy', () => {
    const { code, said } = replay(rules, '--rules', rules);
    assert.equal(code, 1);
    assert.deepEqual(said, [
      'shikra: the recording cannot be read: FOLDER/rules.yaml: it is no recording: it begins with other bytes',
      '  remedy: give a file that `shikra record` wrote, and a copy of it that is whole [RECORDING_UNREADABLE]',
    ]);
    assert.match(replay(path('none'), '--rules', rules).said[0]!, /ENOENT: no such file/);
  });

  it('refuses rules with mistakes', () => {
    writeFileSync(path('bad.yaml'), RULES_TEXT.replace('fd.name', 'fd.nme'));
    const { code, said } = replay(path('recording'), '--rules', path('bad.yaml'));
    assert.equal(code, 2);
    assert.match(said.join('\n'), /nonexistent field 'fd.nme'/);
  });

  it('ends when nobody reads what it prints', () => {
    makeUp(path('long'), { opens: 2000 });
    const command = `"${process.execPath}" cli/main.ts replay ${path('long')} --rules ${rules} | head -n 1`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0);
    assert.match(stdout, /"rule":"Opened"/);
    assert.doesNotMatch(stderr, /internal error|EPIPE/);
  });
});
