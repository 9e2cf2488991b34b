/** What keeps the agent from starting, provoked for real: one message with a remedy, the right exit code, and nothing of it left. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { explain } from '../../native/requirements.ts';
import {
  asUser,
  Command,
  type CommandOptions,
  configure,
  NEEDED_CAPABILITIES,
  opensOf,
  temporaryFolder,
} from './agent-command.ts';
import { buildTrigger, TRIGGER, trigger } from './trigger.ts';

const RULES = opensOf('shikra-start');

function folderForAll(t: TestContext): string {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  return folder;
}

/** Runs to the end that it must come to. @returns its standard error without the log's notes */
async function refused(
  t: TestContext,
  config: string,
  exitCode: number,
  options: CommandOptions = {},
): Promise<string> {
  const command = new Command(t, ['run', '-c', config], options);
  assert.equal(await command.ended(), exitCode, command.stderr);
  assert.equal(command.stdout, '');
  assert.doesNotMatch(command.stderr, /^\s+at /m);
  const notes = /^\{"level":30.*\n/gm;
  return command.stderr.replace(notes, '');
}

const GRANT =
  'remedy: run as root, or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH [PROBE_PRIVILEGE]';

test('a plain user is told all that is missing, before anything is made', async (t) => {
  const folder = folderForAll(t);
  const text = await refused(t, configure(folder, { rules: RULES }), 1, asUser(folder));
  assert.equal(
    text,
    `shikra: the kernel refused to load the probe: missing CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH\n  ${GRANT}\n`,
  );
  assert.ok(!existsSync(join(folder, 'store.db')));
});

for (const capability of NEEDED_CAPABILITIES) {
  const name = `CAP_${capability.toUpperCase()}`;
  test(`without ${name} the message names it`, async (t) => {
    const folder = folderForAll(t);
    const others = NEEDED_CAPABILITIES.filter((other) => other !== capability);
    const text = await refused(t, configure(folder, { rules: RULES }), 1, asUser(folder, others));
    assert.equal(text, `shikra: the kernel refused to load the probe: missing ${name}\n  ${GRANT}\n`);
  });
}

test('all capabilities in a user namespace are worth nothing, and the message says so', async (t) => {
  const folder = folderForAll(t);
  const user = asUser(folder);
  const text = await refused(t, configure(folder, { rules: RULES }), 1, {
    ...user,
    prefix: [...user.prefix, 'unshare', '-Ur'],
  });
  const what = 'the capabilities held count only in a user namespace (rootless container?)';
  assert.equal(text, `shikra: the kernel refused to load the probe: ${what}\n  ${GRANT}\n`);
});

test('with the four capabilities alone it runs, and detections are whole', async (t) => {
  buildTrigger();
  const folder = folderForAll(t);
  const file = join(folder, 'shikra-start');
  writeFileSync(file, '');
  const agent = await new Command(
    t,
    ['run', '-c', configure(folder, { rules: RULES })],
    asUser(folder, NEEDED_CAPABILITIES),
  ).ready();
  const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
  assert.match(status, /^CapEff:\t000000c000080004$/m);
  assert.match(status, /^Uid:\t65534\t65534/m);
  const { pid } = trigger(['open', file, '0', '0']);
  await agent.until('a detection', () => agent.detections.length > 0);
  const parent = `${process.pid} ${readFileSync('/proc/self/comm', 'utf8').trim()} ${process.execPath}`;
  assert.equal(
    agent.detections[0]!.output,
    `opened ${file} by ${pid} trigger ${TRIGGER} trigger open ${file} 0 0, child of ${parent}`,
  );
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0);
});

/** The threads of a process that run before others, by their names. */
function preferredThreads(pid: number): string[] {
  const stats = readdirSync(`/proc/${pid}/task`).map((tid) => readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8'));
  const name = (stat: string) => stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  const nice = (stat: string) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  return stats
    .filter((stat) => nice(stat) < 0)
    .map(name)
    .sort();
}

test('whoever has rings to read runs before others, where that is allowed; the rest of the agent does not', async (t) => {
  const folder = folderForAll(t);
  const config = configure(folder, { rules: RULES });
  const options = asUser(folder, [...NEEDED_CAPABILITIES, 'sys_nice']);
  const allowed = await new Command(t, ['run', '-c', config], options).ready();
  assert.deepEqual(preferredThreads(allowed.pid), ['collector', 'shikra-ring']);
  allowed.child.kill('SIGTERM');
  await allowed.ended();
  const other = await new Command(t, ['run', '-c', config], asUser(folder, NEEDED_CAPABILITIES)).ready();
  assert.deepEqual(preferredThreads(other.pid), []);
});

/** Runs what follows where a folder of the system holds other files. */
const hiding = (folder: string, then = 'true'): CommandOptions => ({
  prefix: ['unshare', '-m', 'sh', '-c', `mount -t tmpfs none ${folder} && ${then} && exec "$0" "$@"`],
});

test('without type information the message says what kernel to use', async (t) => {
  const text = await refused(t, configure(temporaryFolder(t), { rules: RULES }), 1, hiding('/sys/kernel/btf'));
  assert.match(
    text,
    /^shikra: this kernel publishes no type information \(no file \/sys\/kernel\/btf\/vmlinux\)\n {2}remedy: use a kernel built with [^\n]*\[PROBE_NO_BTF\]\n$/,
  );
});

test('a kernel locked down for confidentiality is told from a missing right', async (t) => {
  const options = hiding(
    '/sys/kernel/security',
    "echo 'none integrity [confidentiality]' > /sys/kernel/security/lockdown",
  );
  const text = await refused(t, configure(temporaryFolder(t), { rules: RULES }), 1, options);
  assert.match(
    text,
    /^shikra: this kernel is locked down: mode confidentiality\n {2}remedy: boot with lockdown=integrity or none; [^\n]*\[PROBE_LOCKDOWN\]\n$/,
  );
});

test('a kernel locked down for integrity is no reason not to run', async (t) => {
  const options = hiding(
    '/sys/kernel/security',
    "echo 'none [integrity] confidentiality' > /sys/kernel/security/lockdown",
  );
  const agent = await new Command(t, ['run', '-c', configure(temporaryFolder(t), { rules: RULES })], options).ready();
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0);
});

for (const [title, error, expected] of [
  [
    'lockdown that only the verifier tells of',
    {
      step: 'load',
      code: 'EINVAL',
      log: '12: (85) call bpf_probe_read_kernel#113\nprogram of this type cannot use helper bpf_probe_read_kernel#113\nprocessed 9 insns',
    },
    'PROBE_LOCKDOWN',
  ],
  ['a right that a security module refuses', { step: 'load', code: 'EPERM', log: '' }, 'PROBE_PRIVILEGE'],
  [
    'a program that the verifier refuses',
    { step: 'load', code: 'EACCES', log: 'R1 invalid mem access\nprocessed 100 insns (limit 1000000)' },
    'PROBE_LOAD',
  ],
  ['memory that a ring does not get', { step: 'rings', code: 'ENOMEM', log: '' }, 'PROBE_RING_MEMORY'],
] as const)
  test(`${title} is ${expected}`, () => {
    const explained = explain(Object.assign(new Error('no'), error)) as Error & { code: string };
    assert.equal(explained.code, expected);
  });

test('rules with mistakes are told all at once', async (t) => {
  const rules = `
- rule: One
  desc: d
  condition: evt.type = open and no.such.field = 1
  output: o
  priority: WARNING
- rule: Two
  desc: d
  condition: evt.type = open and (fd.name = 3
  output: o
  priority: WARNING
- rule: Three
  desc: d
  condition: evt.type = open
  output: o
  priority: HIGH
`;
  const text = await refused(t, configure(temporaryFolder(t), { rules }), 2);
  assert.match(text, /^shikra: the rules have mistakes:/);
  for (const [line, rule] of [
    [4, 'One'],
    [9, 'Two'],
    [16, 'Three'],
  ] as const)
    assert.match(text, new RegExp(`rules\\.yaml:${line}:\\d+: error \\w+: rule '${rule}': `));
  assert.match(text, /remedy: correct the lines named above; nothing was started \[RULES_INVALID\]\n$/);
});

test('a rules file that is missing is named', async (t) => {
  const text = await refused(
    t,
    configure(temporaryFolder(t), { rules: RULES, kernel: { rules_files: ['/no/such.yaml'] } }),
    2,
  );
  assert.match(text, /\/no\/such\.yaml:1:1: error LOAD_ERR_FILE_READ: .*ENOENT[\s\S]*\[RULES_INVALID\]\n$/);
});

test('a port that is taken is named', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const config = configure(temporaryFolder(t), { rules: RULES, exporters: { prometheus: { port } } });
  const text = await refused(t, config, 1);
  assert.match(
    text,
    new RegExp(
      `^shikra: cannot listen on 127\\.0\\.0\\.1:${port} \\(exporters\\.prometheus\\): [^\\n]*EADDRINUSE[^\\n]*\\n {2}remedy: stop what listens there or set another endpoint \\[ADDRESS_IN_USE\\]\\n$`,
    ),
  );
});

test('a store that cannot be made is named', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  const text = await refused(t, configure(folder, { rules: RULES, store: join(folder, 'file/store.db') }), 1);
  assert.match(
    text,
    /^shikra: the detection store cannot be used: \S*\/file\/store\.db: EEXIST[^\n]*\n {2}remedy: check service\.store\.path, [^\n]*\[STORE_UNUSABLE\]\n$/,
  );
});

test('a store where no folder can be made is named', async (t) => {
  const text = await refused(t, configure(temporaryFolder(t), { rules: RULES, store: '/proc/shikra/store.db' }), 1);
  assert.match(
    text,
    /^shikra: the detection store cannot be used: \/proc\/shikra\/store\.db: ENOENT[^\n]*\n {2}remedy: [^\n]*\[STORE_UNUSABLE\]\n$/,
  );
});

const MEMORY = ['/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory.max'].find(existsSync);

test('rings that the memory does not hold are told with the setting to change', {
  skip: MEMORY ? false : 'no memory controller',
}, async (t) => {
  const group = join(MEMORY!, '..', `shikra-test-${process.pid}`);
  mkdirSync(group);
  t.after(() => rmdirSync(group));
  writeFileSync(join(group, MEMORY!.endsWith('max') ? 'memory.max' : 'memory.limit_in_bytes'), `${700 * 2 ** 20}`);
  const options: CommandOptions = { prefix: ['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$0" "$@"`] };
  const text = await refused(
    t,
    configure(temporaryFolder(t), { rules: RULES, kernel: { ring_preset: 10 } }),
    1,
    options,
  );
  assert.match(
    text,
    /^shikra: there is not enough memory for the rings between the kernel and Shikra: no rings of 536870912 and 67108864 bytes: \d+ MiB for all, and the limit of the agent's cgroup is 700 MiB\n {2}remedy: set a smaller receivers\.kernel\.ring_preset [^\n]*\[PROBE_RING_MEMORY\]\n$/,
  );
});
