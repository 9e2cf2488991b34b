#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// In the user's own folder: Node's default is below /tmp, where others could put code for root to run.
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
enableCompileCache(join(cache, 'shikra', 'compile-cache'));

const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
