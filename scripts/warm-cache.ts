/**
 * Loads all that the agent loads, in both of its threads, and goes: Node's compile cache then has every file without its types. The agent
 * that is started next loads no TypeScript compiler, which would stay in its memory (some 40 MB) for as long as it runs.
 */
import { flushCompileCache } from 'node:module';

await import('../cli/command-line.ts');
await import('../cli/run.ts');
await import('../cli/read-config.ts');
await import('../collector/agent.ts');
await import('../collector/engine/collector.ts');
flushCompileCache();
