import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Where the compiled programs are. */
export const BUILD = fileURLToPath(new URL('./build', import.meta.url));

/** Shikra as the package has it: what is measured is what is installed. */
export const SHIKRA = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** Makes the package's content. @throws Error with the compiler's complaint on stderr */
export function buildShikra(): void {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { status } = spawnSync(process.execPath, ['scripts/build.ts'], { cwd, stdio: ['ignore', 'inherit', 'ignore'] });
  if (status !== 0) throw new Error('Shikra did not build');
}

/** Compiles what has changed. @throws Error with the compiler's complaint on stderr */
export function buildPrograms(): void {
  const folder = fileURLToPath(new URL('./programs', import.meta.url));
  const { status } = spawnSync('make', ['-s', '-C', folder], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error('the programs of the benchmarks did not build');
}
