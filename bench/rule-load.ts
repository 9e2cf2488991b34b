/**
 * `node bench/rule-load.ts [FILE...]`: loads all rules once (or those of the files) in this process, which has done nothing before: no code is warm, and the
 * agent's cache of rules is not asked. Prints what it took as a line of JSON. `npm run bench` starts it several times.
 */
const started = performance.now();
const { loadRules, readRuleFiles } = await import('../rules/index.ts');
const { ALL_RULES } = await import('./rule-files.ts');
const imported = performance.now();
const { files } = await readRuleFiles(process.argv.length > 2 ? process.argv.slice(2) : ALL_RULES);
const { rules } = loadRules(files);
const loaded = performance.now();

/** What one process said. */
export interface RuleLoad {
  readonly files: number;
  readonly rules: number;
  /** Reading, parsing and checking. */
  readonly loadMillis: number;
  /** Before: the code. */
  readonly importMillis: number;
  /** All of the process's, in user mode and in the system's, all threads. */
  readonly cpuMillis: number;
}

const { user, system } = process.cpuUsage();
console.log(
  JSON.stringify({
    files: files.length,
    rules: rules.length,
    loadMillis: loaded - imported,
    importMillis: imported - started,
    cpuMillis: (user + system) / 1000,
  } satisfies RuleLoad),
);
