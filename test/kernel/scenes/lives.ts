import { readFileSync } from 'node:fs';
import { TRIGGER } from '../trigger.ts';
import { cgroupOf } from './process-truth.ts';
import type { Expected, Scene, Truth } from './scene.ts';

/** What an execution is told with; the program is run by this process, whose group, login and cgroup it has. */
const executed = (exe: string, comm: string, args: string) => (truth: Truth) => {
  const own = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ');
  const login = Number(readFileSync('/proc/self/loginuid', 'utf8'));
  const { pid } = truth;
  return [
    `res=0 exe=${exe} args=${args} tid=${pid} pid=${pid} ptid=${process.pid} cwd=${process.cwd()}/ comm=${comm}`,
    `cgroups=${cgroupOf('self')} env= tty=${own[4]} vpgid=${own[2]} loginuid=${login === 0xffffffff ? -1 : login}`,
  ].join(' ');
};

const OF_A_NEW_PROCESS: Readonly<Record<string, Expected>> = {
  'evt.category': 'process',
  'evt.arg.pid': ({ result }) => result,
};

export const LIVES: readonly Scene[] = [
  {
    type: 'execve',
    call: () => ['nothing', 'two words'],
    fields: {
      'evt.category': 'process',
      'evt.args': executed(TRIGGER, 'trigger', 'nothing two words'),
      'evt.arg.exe': TRIGGER,
      'evt.arg.args': 'nothing two words',
      'evt.arg.pid': ({ pid }) => pid,
    },
  },
  {
    type: 'execveat',
    call: () => ['memfd-exec', TRIGGER, 'nothing'],
    fields: {
      'proc.exepath': 'memfd:copy',
      'proc.name': { holds: (value) => /^\d+$|^memfd:copy$/.test(String(value)) }, // a descriptor's number, by newer kernels the file's name
      'proc.is_exe_from_memfd': true,
      'evt.args': {
        holds: (value, { pid }) => String(value).startsWith(`res=0 exe=${TRIGGER} args=nothing tid=${pid} `),
      },
    },
  },
  {
    type: 'fork',
    call: () => ['fork'],
    fields: { ...OF_A_NEW_PROCESS, 'evt.args': ({ result }) => `res=${result} flags=0` },
  },
  {
    type: 'vfork',
    call: () => ['vfork'],
    fields: {
      ...OF_A_NEW_PROCESS,
      'evt.args': ({ result }) => `res=${result} flags=16640(CLONE_VM|CLONE_VFORK)`,
    },
  },
  ...['clone', 'clone3'].map(
    (type): Scene => ({
      type,
      call: () => [type],
      fields: {
        ...OF_A_NEW_PROCESS,
        'evt.arg.flags': 'CLONE_FS',
        'evt.args': ({ result }) => `res=${result} flags=512(CLONE_FS)`,
      },
    }),
  ),
  {
    type: 'procexit',
    call: () => ['exit', 7],
    fields: { 'evt.category': 'process', 'evt.args': 'status=1792 ret=7 sig=0 core=0' },
  },
];
