import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { AgentProcess } from './agent-process.ts';
import { Containers, noContainers } from './containers.ts';

/** What a machine does all day must not be told above this. */
const EXPECTED = new Set(['Notice', 'Informational', 'Debug']);

const withoutContainers = noContainers();
const missing = (program: string) => (existsSync(program) ? false : `no ${program}`);

let agent: AgentProcess;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shikra-quiet-'));
  // rings that bear what else may run on this machine: with an event lost a test fails
  agent = await AgentProcess.start({ receiver: { ring_preset: 6 } });
});

after(async () => {
  await agent?.close();
  rmSync(folder, { recursive: true });
});

function sh(script: string): void {
  const env = { ...process.env, HOME: folder, GIT_CONFIG_NOSYSTEM: '1', DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('sh', ['-e', '-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
}

function write(path: string, text: string, mode = 0o644): string {
  const at = join(folder, path);
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, text, { mode });
  return at;
}

/** Nothing that `act` does is told above NOTICE. @returns the rules of what is told */
async function ordinary(act: () => unknown): Promise<string[]> {
  const alerts = await agent.caused(act);
  const loud = alerts.filter(({ priority }) => !EXPECTED.has(priority));
  assert.deepEqual(
    loud.map(({ priority, rule, output }) => `${priority} ${rule}: ${output}`),
    [],
  );
  return alerts.map(({ rule }) => rule);
}

/** Nothing at all is told. */
async function silent(act: () => unknown): Promise<void> {
  assert.deepEqual(
    (await agent.caused(act)).map(({ rule, output }) => `${rule}: ${output}`),
    [],
  );
}

test('looking at packages', { skip: missing('/usr/bin/dpkg') }, () =>
  silent(() => sh('apt-get --version; dpkg -l; dpkg -S /bin/sh || true; apt-cache policy bash')),
);

test('building, installing and removing a package', { skip: missing('/usr/bin/dpkg-deb') }, async (t) => {
  const name = `shikra-test-${process.pid}`;
  t.after(() => rmSync(`/etc/cron.d/${name}`, { force: true }));
  write(
    'package/DEBIAN/control',
    `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: test\n`,
  );
  write('package/DEBIAN/conffiles', `/etc/cron.d/${name}\n`);
  write(
    'package/DEBIAN/postinst',
    `#!/bin/sh\nset -e\ntouch /etc/${name}.made\nchmod 4755 /usr/bin/${name}\nln -sf ${name} /usr/bin/${name}-link\n`,
    0o755,
  );
  write('package/DEBIAN/postrm', `#!/bin/sh\nrm -f /etc/${name}.made /usr/bin/${name}-link\n`, 0o755);
  write(`package/usr/bin/${name}`, '#!/bin/sh\n', 0o755);
  write(`package/etc/cron.d/${name}`, '# nothing\n');
  await silent(() => sh(`dpkg-deb --build package ${name}.deb; dpkg -i ${name}.deb; dpkg --purge ${name}`));
});

test('compiling', () => {
  write('hello.c', '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n');
  return silent(() => sh('gcc -O2 -o hello hello.c; ./hello; printf "all:\\n\\tgcc -c hello.c\\n" > Makefile; make'));
});

test('working with git', { skip: missing('/usr/bin/git') }, () => {
  write('project/file', 'text\n');
  const git = 'git -C project -c user.name=a -c user.email=a@example.org';
  return silent(() =>
    sh(
      `git init -q project; ${git} add file; ${git} commit -q -m first; git clone -q project copy; ${git} log; ${git} gc -q`,
    ),
  );
});

test('npm', { skip: missing('/usr/bin/npm') }, () => silent(() => sh('npm --version')));

test('searching, packing and sorting files', () =>
  silent(() =>
    sh(`
      find /usr/share | head -100
      tar -czf docs.tgz -C /usr/share/doc bash; mkdir out; tar -xzf docs.tgz -C out; tar -cf - out | gzip > out.tgz; gzip -d < out.tgz > /dev/null
      grep -r bash /etc/profile.d /etc/passwd /etc/group || true
      ls -lR /etc > listing; sort listing > sorted; cp -a /usr/share/doc/bash copied; find /usr/share/doc/bash -type f -exec wc -l {} + > lines
      ps aux; df; id; uname -a; who || true; date
    `),
  ));

test('a job of cron, and what it starts', () => {
  const job = write(
    'job',
    '#!/bin/sh\nset -e\ncd /\ntest -x /usr/sbin/anacron || run-parts --test /etc/cron.daily\nsh -c "echo done" >> "$1"\n',
    0o755,
  );
  return silent(() => sh(`/bin/sh -c '${job} ${folder}/job.log'; nice sh -c 'sleep 0.1 & wait'`));
});

test('a service that writes and turns over its own log', async (t) => {
  const log = `/var/log/shikra-test-${process.pid}.log`;
  // by this process itself: what it starts counts as part of the next test
  t.after(() => rmSync(log, { force: true }));
  const rules = await ordinary(() =>
    sh(`echo line >> ${log}; mv ${log} ${log}.1; echo line >> ${log}; gzip ${log}.1; rm ${log}.1.gz`),
  );
  assert.deepEqual(rules, ['Log emptied or removed', 'Log emptied or removed']);
});

test('logrotate', { skip: missing('/usr/sbin/logrotate') }, async (t) => {
  const log = `/var/log/shikra-test-rotated-${process.pid}.log`;
  t.after(() => {
    for (const suffix of ['', '.1', '.1.gz']) rmSync(`${log}${suffix}`, { force: true });
  });
  const file = write('rotate.conf', `${log} { size 1\n rotate 1\n compress\n copytruncate\n }\n`);
  writeFileSync(log, 'line\n');
  await silent(() =>
    sh(
      `chmod 755 .; logrotate -f -s ${folder}/state ${file}; echo line >> ${log}; logrotate -f -s ${folder}/state ${file}`,
    ),
  );
});

test('users: made, changed and removed', { skip: missing('/usr/sbin/useradd') }, async (t) => {
  const user = `shikra${process.pid}`;
  t.after(() => {
    if (readFileSync('/etc/passwd', 'utf8').includes(`${user}:`)) sh(`userdel ${user}`);
  });
  await silent(() =>
    sh(`useradd -M ${user}; usermod -c test ${user}; chage -l ${user}; su ${user} -s /bin/sh -c 'id'; userdel ${user}`),
  );
});

test('a container that is started, entered and stopped', { skip: withoutContainers }, async (t) => {
  const containers = new Containers();
  t.after(() => containers.close());
  await silent(() => containers.run(['true']));
  await silent(() => {
    const id = containers.start();
    containers.exec(id, ['sh', '-c', 'ls / > /tmp/listing; cat /tmp/listing; rm /tmp/listing']);
    containers.stop(id);
  });
});

test('keys: made and looked at by their client', { skip: missing('/usr/bin/ssh-keygen') }, () =>
  silent(() =>
    sh(
      `mkdir -m 700 .ssh; ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519; ssh-keygen -y -f .ssh/id_ed25519; cat .ssh/id_ed25519.pub`,
    ),
  ),
);

test('no event was lost, and the agent told nothing of itself', async () => {
  const metrics = await agent.metrics();
  const lost = [...metrics].filter(([name, value]) => name.startsWith('shikra_events_dropped_total') && value > 0);
  assert.deepEqual(lost, []);
  assert.deepEqual(
    agent.detections.filter(({ source }) => source === 'internal'),
    [],
  );
  await agent.stop();
});
