#!/usr/bin/env -S MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072 node --max-semi-space-size=8 --max-old-space-size=512 --no-maglev-destroy-on-background
// How it is run is a third of the agent's memory. One arena for all threads: with several, what one gave back is not there for the others.
// Large blocks mapped one by one, and given back one by one: else glibc keeps up to 32 MiB of them between smaller ones that live on.
// A young generation of half of what it would be without a word: with a quarter, garbage collection takes so much more that a flood is not stored as fast as it
// comes. Its room is given back in the start and after it (run.ts). The collector's thread, whose objects die at once, has a smaller one (thread.ts). A heap that
// has room may grow to where the bound is: a detection engine that needs more than this has a leak, and the store keeps what it had.
// What a compilation took is free when it ends. V8 would leave that to threads in the background, and while they wait for a processor up to ten megabytes wait for
// them: on a busy machine that was most of the difference between one start and another.
import { enableCompileCache } from 'node:module';
import { userCacheFolder } from '../collector/user-cache.ts';

const parameters = process.argv.slice(2);
// The agent's thread has the most to do before the first event: it begins before this one knows any option. Of compiled code that was kept it would save a
// tenth of its start, and keep all that was read in memory for as long as it runs, six megabytes.
if (startsAgent(parameters)) (await import('./agent-thread.ts')).beginAgentThread();
else enableCompileCache(userCacheFolder('compile-cache'));

const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(parameters);

function startsAgent([command, ...options]: readonly string[]): boolean {
  return command === 'run' && !options.some((option) => ['--dry-run', '--help', '-h'].includes(option));
}
