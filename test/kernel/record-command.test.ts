import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { shikra } from '../cli/run-shikra.ts';
import { asUser, Command, type CommandOptions, configure, opensOf, temporaryFolder } from './agent-command.ts';

const skip = process.getuid?.() === 0 ? false : 'the probe needs root';
const MARK = `/shikra-recorded-${process.pid}`;

/** A recorder that has begun. */
async function record(t: TestContext, parameters: readonly string[], options: CommandOptions = {}): Promise<Command> {
  const command = new Command(t, ['record', ...parameters], options);
  await command.until('it to record', () => command.stderr.includes('recording to'));
  return command;
}

function prepare(t: TestContext): { folder: string; config: string; file: string; rules: string } {
  const folder = temporaryFolder(t);
  const config = configure(folder, { rules: opensOf(MARK) });
  return { folder, config, file: join(folder, 'recording'), rules: join(folder, 'rules.yaml') };
}

const read = (path: string) => spawnSync('cat', [path]);

function replayed(file: string, rules: string) {
  const { code, stdout, stderr } = shikra(['replay', file, '--rules', rules]);
  const outputs = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).output as string);
  return { code, outputs, stderr };
}

describe('shikra record', { skip }, () => {
  it('records until it is told to stop, for its owner only, and says how much', async (t) => {
    const { folder, config, file, rules } = prepare(t);
    const options = { prefix: ['sh', '-c', 'umask 0; exec "$0" "$@"'] };
    const command = await record(t, ['-o', file, '-c', config], options);
    writeFileSync(join(folder, MARK), '');
    read(join(folder, MARK));
    command.child.kill('SIGTERM');
    assert.equal(await command.ended(), 0, command.stderr);
    assert.match(command.stderr, /recorded [\d,]+ events, \d+\.\d MiB in [\d.]+ s\. Nothing was lost\.\n$/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { code, outputs } = replayed(file, rules);
    assert.equal(code, 0);
    assert.ok(
      outputs.some((output) => output.includes(` cat /usr/bin/cat cat ${folder}`)),
      outputs.join('\n'),
    );
  });

  it('records for a time, only what the rules look at unless told otherwise', async (t) => {
    const { config, file, rules } = prepare(t);
    for (const [all, pattern] of [
      [[], /connect/],
      [['--all', '--force'], /^$/],
    ] as const) {
      const command = await record(t, ['-o', file, '-c', config, '--seconds', '0.2', ...all]);
      assert.equal(await command.ended(), 0, command.stderr);
      writeFileSync(
        rules,
        opensOf(MARK).replace('evt.type in (open, openat, openat2)', 'evt.type in (openat, connect)'),
      );
      const { code, stderr } = replayed(file, rules);
      assert.equal(code, 0);
      const warned = /not recorded \(see --all\): (.*)/.exec(stderr)?.[1] ?? '';
      assert.match(warned, pattern);
      writeFileSync(rules, opensOf(MARK));
    }
  });

  it('leaves a file that is there alone without --force, and what is no file in any case', (t) => {
    const { config, file } = prepare(t);
    writeFileSync(file, 'precious');
    const { code, stderr } = shikra(['record', '-o', file, '-c', config]);
    assert.equal(code, 1);
    assert.match(stderr, /the file is there already; --force replaces it/);
    assert.equal(readFileSync(file, 'utf8'), 'precious');
    assert.match(shikra(['record', '-o', '/dev/null', '-c', config, '--force']).stderr, /is no regular file/);
    assert.ok(statSync('/dev/null').isCharacterDevice());
  });

  it('that is killed leaves a recording of what was before', async (t) => {
    const { folder, config, file, rules } = prepare(t);
    const command = await record(t, ['-o', file, '-c', config]);
    writeFileSync(join(folder, MARK), '');
    read(join(folder, MARK));
    // Once a second it is written. What it grows by first may have been read before that file was opened.
    for (let i = 0; i < 2; i++) {
      const { size } = statSync(file);
      while (statSync(file).size === size) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    command.child.kill('SIGKILL');
    await command.ended();
    const { code, outputs, stderr } = replayed(file, rules);
    assert.equal(code, 1);
    assert.ok(
      outputs.some((output) => output.includes(` cat /usr/bin/cat cat ${folder}`)),
      outputs.join('\n'),
    );
    assert.match(stderr, /read as far as byte \d+: it was not ended/);
  });

  it('ends when the disk is full, and what was written before is good', async (t) => {
    const { folder, config, rules } = prepare(t);
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
    const file = join(disk, 'recording');
    const kept = join(folder, 'kept');
    try {
      const command = await record(t, ['-o', file, '-c', config, '--all']);
      for (let i = 0; i < 40 && command.child.exitCode === null; i++) await promisify(execFile)('find', ['/etc']);
      assert.equal(await command.ended(), 1, command.stderr);
      assert.match(command.stderr, /the recording cannot be written: .*recording: ENOSPC: no space left on device/);
      copyFileSync(file, kept);
    } finally {
      execFileSync('umount', [disk]);
    }
    const { code, stderr } = replayed(kept, rules);
    assert.equal(code, 1);
    assert.match(stderr, /read as far as byte \d+: it was not ended/);
  });

  it('says what rights it lacks', async (t) => {
    const { folder, file } = prepare(t);
    const command = new Command(t, ['record', '-o', file], asUser(folder));
    assert.equal(await command.ended(), 1, command.stderr);
    assert.match(command.stderr, /PROBE_PRIVILEGE/);
  });

  it('is replayed by a user without any right', async (t) => {
    const { folder, config, file, rules } = prepare(t);
    const command = await record(t, ['-o', file, '-c', config, '--seconds', '0.1']);
    assert.equal(await command.ended(), 0, command.stderr);
    execFileSync('chmod', ['644', file, rules]);
    const replay = new Command(t, ['replay', file, '--rules', rules], asUser(folder));
    assert.equal(await replay.ended(), 0, replay.stderr);
    assert.match(replay.stderr, /shikra: \d+ events of /);
  });
});
