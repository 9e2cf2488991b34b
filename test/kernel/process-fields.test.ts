/** Every field of a process, against /proc, while the process is still there. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { Capture } from './capture.ts';
import { ProcessTruth } from './scenes/process-truth.ts';
import { PROCESS_FIELDS, PROCESS_TIMES, type Staged } from './scenes/processes.ts';
import { buildTrigger, TRIGGER } from './trigger.ts';

let capture: Capture;
let folder: string;
/** Where others than root may execute it. */
let program: string;

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-process-fields-'));
  chmodSync(folder, 0o755);
  program = join(folder, 'trigger');
  copyFileSync(TRIGGER, program);
  writeFileSync(join(folder, 'file'), 'content');
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(folder, name));
  const layers = `lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, join(folder, 'merged')]);
  copyFileSync(TRIGGER, join(folder, 'merged/trigger'));
  capture = await Capture.start({ captureEnv: ['SHIKRA_TEST'] });
});

after(() => {
  capture.close();
  execFileSync('umount', [join(folder, 'merged')]);
  rmSync(folder, { recursive: true });
});

const LOGIN = 34;
const USER = 33;
const GROUP = 2;

/** Ways to run the program, which opens a file and waits. */
const STAGES: Readonly<Record<string, (command: readonly string[]) => readonly string[]>> = {
  'a user with a login, some capabilities and a terminal': (command) => {
    const as = `--reuid=${USER} --regid=${GROUP} --clear-groups --inh-caps=+chown,+kill --ambient-caps=+chown`;
    // the last command keeps the shell from becoming the program
    const script = `echo ${LOGIN} > /proc/self/loginuid; setpriv ${as} ${command.join(' ')}; true`;
    return ['script', '--quiet', '--command', script, '/dev/null'];
  },
  'root in a session of its own, by a pipe': (command) => [
    'sh',
    '-c',
    `cat | setsid "$@" 2> ${folder}/errors | cat; true`,
    'sh',
    ...command,
  ],
  'a program that was put into a container while it ran': ([, ...args]) => [join(folder, 'merged/trigger'), ...args],
  'a program out of memory': ([exe, ...args]) => [exe!, 'memfd-exec', exe!, ...args],
};

async function pidOf(child: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: child.stdout! })) return Number(line);
  throw new Error('the program ended without a word');
}

for (const [who, stage] of Object.entries(STAGES)) {
  test(`every field is told of ${who}`, async (t) => {
    const path = join(folder, 'file');
    const [file, ...args] = stage([program, 'open-and-wait', path]);
    capture.drain();
    const child = spawn(file!, args, {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, SHIKRA_TEST: 'staged' },
    });
    let pid = 0;
    t.after(() => {
      if (pid > 0) execFileSync('kill', ['-9', String(pid)]);
      child.kill('SIGKILL');
    });
    pid = await pidOf(child);
    const names = [...Object.keys(PROCESS_FIELDS), ...Object.keys(PROCESS_TIMES)];
    const opened = capture.waiting(pid, ['fd.name', ...names]).filter(({ fields }) => fields['fd.name'] === path);
    assert.equal(opened.length, 1);
    const { fields } = opened[0]!;
    const staged: Staged = { process: new ProcessTruth(pid), toNs: BigInt(Date.now() + 2) * 1_000_000n };
    const told = Object.fromEntries(Object.keys(PROCESS_FIELDS).map((name) => [name, fields[name]]));
    const truth = Object.fromEntries(Object.entries(PROCESS_FIELDS).map(([name, look]) => [name, look(staged)]));
    assert.deepEqual(told, truth);
    for (const [name, holds] of Object.entries(PROCESS_TIMES))
      assert.ok(holds(fields[name], staged), `${name} is ${String(fields[name])}`);
  });
}
