import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';

const SCRIPT = resolve('scripts/with-setup.sh');

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-setup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A machine in small: a folder with the system's programs, without some, and with others in their place. */
function machine(t: TestContext, without: readonly string[], stubs: Readonly<Record<string, string>>) {
  const folder = temporaryFolder(t);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const left = readdirSync('/usr/bin').filter((name) => !without.includes(name) && !(name in stubs));
  for (const name of left) symlinkSync(join('/usr/bin', name), join(bin, name));
  for (const [name, script] of Object.entries(stubs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const cache = join(folder, 'cache');
  const run = (command: readonly string[]) =>
    spawnSync('/bin/sh', [SCRIPT, ...command], {
      encoding: 'utf8',
      env: { PATH: bin, HOME: folder, XDG_CACHE_HOME: cache },
    });
  return { run, cache, bin };
}

const NEW_NODE = { node: `exec ${process.execPath} "$@"` };

test('with everything there it is silent, and hands the exit code on', () => {
  const { status, stdout, stderr } = spawnSync('/bin/sh', [SCRIPT, 'sh', '-c', 'exit 7'], { encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [7, '', '']);
});

/** Each change of a file left its old compilation in the cache: after some weeks of work there were sixty thousand. */
test('compilations that nobody has read for a month go when the cache is filled anew', (t) => {
  const folder = temporaryFolder(t);
  const kept = join(folder, 'shikra', 'compile-cache', 'v1');
  mkdirSync(kept, { recursive: true });
  const monthAgo = Date.now() / 1000 - 40 * 24 * 3600;
  for (const name of ['old', 'new']) writeFileSync(join(kept, name), '');
  utimesSync(join(kept, 'old'), monthAgo, monthAgo);
  const env = {
    ...process.env,
    SHIKRA_SETUP: 'start',
    XDG_CACHE_HOME: folder,
    NODE_COMPILE_CACHE: join(folder, 'none'),
  };
  const { status, stderr } = spawnSync('/bin/sh', [SCRIPT, 'true'], { encoding: 'utf8', env });
  assert.deepEqual([status, stderr], [0, '']);
  assert.deepEqual(readdirSync(kept), ['new']);
});

test('without root it says what to install on each system, and exits 2', (t) => {
  const { run } = machine(t, ['clang'], { ...NEW_NODE, id: 'echo 1000' });
  const { status, stdout, stderr } = run(['true']);
  assert.equal(
    stderr,
    [
      'setup: missing: clang',
      'setup: install, as root, and try again:',
      'setup:   Debian, Ubuntu:  apt-get install clang',
      'setup:   Fedora:          dnf install clang',
      'setup:   Arch:            pacman -S clang',
      '',
    ].join('\n'),
  );
  assert.deepEqual([status, stdout], [2, '']);
});

test('on a system without apt it installs nothing either', (t) => {
  const { run } = machine(t, ['clang', 'apt-get'], { ...NEW_NODE, id: 'echo 0' });
  assert.equal(run(['true']).status, 2);
});

const INSTALLING_APT = `
[ "$1" = -y ] && shift 2
echo "$@" >>"$HOME/apt.log"
[ -e "$HOME/lists" ] || { [ "$1" = update ] && touch "$HOME/lists" && exit 0; echo 'E: Unable to locate package' >&2; exit 100; }
printf '#!/bin/sh\\n' >"$HOME/bin/clang" && chmod +x "$HOME/bin/clang"`;

test('as root on Debian it installs what is missing, and fetches the package lists only if it must', (t) => {
  const { run } = machine(t, ['clang'], { ...NEW_NODE, id: 'echo 0', 'apt-get': INSTALLING_APT });
  const { status, stderr } = run(['sh', '-c', 'cat "$HOME/apt.log"']);
  assert.deepEqual([status, stderr], [0, 'setup: installing clang\nsetup: fetching the package lists\n']);
});

const LOCKED_ONCE_APT = `
[ -e "$HOME/tried" ] || { touch "$HOME/tried"; echo 'E: Could not get lock /var/lib/dpkg/lock-frontend.' >&2; exit 100; }
printf '#!/bin/sh\\n' >"$HOME/bin/clang" && chmod +x "$HOME/bin/clang"`;

test('it waits for another program that installs packages, and says so', (t) => {
  const { run } = machine(t, ['clang'], { ...NEW_NODE, id: 'echo 0', 'apt-get': LOCKED_ONCE_APT });
  const { status, stderr } = run(['true']);
  assert.deepEqual(
    [status, stderr],
    [0, 'setup: installing clang\nsetup: another program is installing packages; waiting for it\n'],
  );
});

test('a Node that is too old is replaced by a fetched one only if its sum is right', (t) => {
  const { run, cache } = machine(t, [], {
    node: 'echo v20.20.2',
    npm: 'for p in "$@"; do :; done; echo bad >"$(echo "$p" | tr @ -).tgz"',
  });
  const { status, stderr } = run(['true']);
  assert.equal(status, 1);
  assert.match(stderr, /^setup: fetching Node [\d.]+ into .* \(this machine has v20\.20\.2\)$/m);
  assert.match(
    stderr,
    /^setup: the fetched node-linux-\w+@[\d.]+ is not the expected one \(SHA-256 differs\); nothing was installed$/m,
  );
  assert.deepEqual(readdirSync(join(cache, 'shikra')), ['setup.lock']);
});

test('without the registry it says so', (t) => {
  const { run } = machine(t, [], { node: 'echo v20.20.2', npm: 'exit 1' });
  const { status, stderr } = run(['true']);
  assert.equal(status, 1);
  assert.match(stderr, /npm could not fetch .*; see that the npm registry can be reached/);
});

const AGENT = `
process.on('SIGTERM', () => process.exit(7));
process.on('SIGINT', () => process.exit(8));
setTimeout(() => process.exit(9), 30_000);
console.log('ready ' + process.pid);`;

for (const [signal, code] of [
  ['SIGTERM', 7],
  ['SIGINT', 8],
] as const) {
  test(`${signal} to npm reaches the program, and its exit code comes back`, {
    skip: !existsSync('/usr/bin/npm') && 'no npm',
  }, async (t) => {
    const folder = temporaryFolder(t);
    // Like the scripts of package.json: without `exec` the shell between would take the signal and leave the program alone.
    const start = `exec sh ${SCRIPT} node agent.js`;
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'x', version: '1.0.0', scripts: { start } }));
    writeFileSync(join(folder, 'agent.js'), AGENT);
    const npm = spawn('npm', ['start'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    for await (const chunk of npm.stdout) {
      printed += chunk;
      if (/ready \d+/.test(printed)) break;
    }
    npm.kill(signal);
    assert.deepEqual(await once(npm, 'exit'), [code, null]);
    const pid = Number(/ready (\d+)/.exec(printed)?.[1]);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });
}

test('every script of package.json leaves no shell between npm and the program', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const { prepack: _, ...own } = scripts;
  for (const [name, command] of Object.entries(own)) assert.match(command, /^exec /, name);
});
