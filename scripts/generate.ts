/** `npm run generate`: writes the parts of the documentation that are made from the code. With `--check` it only says which are not current. */
import { writeFileSync } from 'node:fs';
import { generatedFiles, staleFiles } from './generated-files.ts';

const files = generatedFiles();
const stale = staleFiles(files);
if (process.argv.includes('--check')) {
  for (const file of stale) console.error(`generate: ${file} is not current: run \`npm run generate\``);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const file of stale) writeFileSync(file, files.get(file)!);
  console.error(stale.length === 0 ? 'generate: everything is current' : `generate: ${stale.join(', ')}`);
}
