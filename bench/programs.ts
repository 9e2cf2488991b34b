import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Where the compiled programs are. */
export const BUILD = fileURLToPath(new URL('./build', import.meta.url));

/** Compiles what has changed. @throws Error with the compiler's complaint on stderr */
export function buildPrograms(): void {
  const folder = fileURLToPath(new URL('./programs', import.meta.url));
  const { status } = spawnSync('make', ['-s', '-C', folder], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error('the programs of the benchmarks did not build');
}
