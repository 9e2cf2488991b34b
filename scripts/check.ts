/** `npm run check`: types, lint and generated files over the whole project. Runs all, so that one run shows everything. */
import { spawnSync } from 'node:child_process';

const CHECKS: readonly (readonly string[])[] = [
  ['node_modules/.bin/tsc', '-p', '.'],
  ['node_modules/.bin/biome', 'check', '.'],
  [process.execPath, 'scripts/generate.ts', '--check'],
];

const failed = CHECKS.filter(([command, ...parameters]) => {
  const { status } = spawnSync(command as string, parameters, { stdio: 'inherit' });
  return status !== 0;
});
for (const command of failed) console.error(`check: failed: ${command.join(' ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
