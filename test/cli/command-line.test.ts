import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { shikra } from './run-shikra.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

test('--version prints the version of the package', () => {
  assert.deepEqual(shikra(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('--help shows the commands, examples and exit codes', () => {
  const { code, stdout } = shikra(['--help']);
  assert.equal(code, 0);
  for (const part of ['run [options]', 'doctor [options]', 'Examples:', 'Exit codes: 0 done, 1 failed, 2 bad usage']) {
    assert.ok(stdout.includes(part), part);
  }
});

test('run --help says what the defaults are and where every key is described', () => {
  const { code, stdout } = shikra(['run', '--help']);
  assert.equal(code, 0);
  for (const part of ['http://127.0.0.1:8765', 'docs/configuration.md', 'docs/config.schema.json']) {
    assert.ok(stdout.includes(part), part);
  }
});

for (const [parameters, hint] of [
  [['rnu'], "error: unknown command 'rnu'\n(Did you mean run?)"],
  [['run', '--confg', 'x'], "error: unknown option '--confg'\n(Did you mean --config?)"],
  [['run', '-c'], "error: option '-c, --config <file>' argument missing"],
  [['doctor', 'x'], "error: too many arguments for 'doctor'"],
] as const) {
  test(`\`shikra ${parameters.join(' ')}\` is bad usage`, () => {
    const { code, stdout, stderr } = shikra(parameters);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.ok(stderr.startsWith(hint), stderr);
  });
}

test('no command at all shows the help and is bad usage', () => {
  const { code, stderr } = shikra([]);
  assert.equal(code, 2);
  assert.match(stderr, /^Usage: shikra/);
});

test('a configuration that is not there is told without a stack trace', () => {
  assert.deepEqual(shikra(['run', '-c', '/nowhere.yaml']), {
    code: 2,
    stdout: '',
    stderr:
      'shikra: the configuration file /nowhere.yaml does not exist\n' +
      '  remedy: check the path given with -c and that it may be read [CONFIG_UNREADABLE]\n',
  });
});
