#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

// Half of the agent's memory would be V8's young generations (16 MiB each in both threads), for objects that die at once.
setFlagsFromString('--max-semi-space-size=1');

// In the user's own folder: Node's default is below /tmp, where others could put code for root to run.
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
enableCompileCache(join(cache, 'shikra', 'compile-cache'));

const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
