/**
 * Loads all that the agent loads, in both of its threads, and goes: Node's compile cache then has every file without its types. The agent
 * that is started next loads no TypeScript compiler, which would stay in its memory (some 40 MB) for as long as it runs. Also has the default rules read,
 * which the agent finds in its cache then.
 */
import { flushCompileCache } from 'node:module';

await import('../cli/command-line.ts');
await import('../cli/run.ts');
await import('../collector/agent.ts');
await import('../collector/engine/collector.ts');
await import('../collector/engine/audit-collector.ts');
const { readConfig } = await import('../cli/read-config.ts');
const { ReceiversInUse } = await import('../collector/receivers-in-use.ts');
const { readRulesAside } = await import('../collector/engine/load-aside.ts');
flushCompileCache();
const reading = await readRulesAside(new ReceiversInUse(readConfig(undefined).config).kernelRules());
await reading.bytes;
