import { readdirSync, readFileSync } from 'node:fs';

/** What a process has used since its start: proc(5). */
export interface ProcessUsage {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** CPU time by the name of the thread; those of one name are added up. Unlike the two above exact to the nanosecond. */
  readonly threadSeconds: ReadonlyMap<string, number>;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** USER_HZ: what the kernel tells user space in, whatever its own clock is. */
const TICKS_PER_SECOND = 100;

export function processUsage(pid: number): ProcessUsage {
  const [user, system] = ticks(pid);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    userSeconds: user / TICKS_PER_SECOND,
    systemSeconds: system / TICKS_PER_SECOND,
    threadSeconds: threadSeconds(pid),
    rssBytes: kibibytes(status, 'VmRSS'),
    peakRssBytes: kibibytes(status, 'VmHWM'),
  };
}

/** utime and stime, fields 14 and 15: counted from behind the name, which may hold anything. */
function ticks(pid: number): [number, number] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [Number(fields[11]), Number(fields[12])];
}

function threadSeconds(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim();
    const [nanos] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ');
    seconds.set(name, (seconds.get(name) ?? 0) + Number(nanos) / 1e9);
  }
  return seconds;
}

function kibibytes(status: string, key: string): number {
  const [, number] = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return Number(number) * 1024;
}
