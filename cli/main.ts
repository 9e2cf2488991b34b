#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=1 --max-old-space-size=512
// How it is run is a third of the agent's memory. One arena for all threads: with several, what one gave back is not there for the others.
// Small young generations in both threads (16 MiB each without a word), for objects that die at once. A heap that has room may grow to
// where the bound is: a detection engine that needs more than this has a leak, and the store keeps what it had.
import { enableCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { userCacheFolder } from '../collector/user-cache.ts';

// For the collector's thread where someone starts this file by `node`.
setFlagsFromString('--max-semi-space-size=1');
enableCompileCache(userCacheFolder('compile-cache'));

const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
