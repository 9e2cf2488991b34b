/** `npm run generate`: writes the parts of the documentation that are made from the code. */
import { readFileSync, writeFileSync } from 'node:fs';
import { components as registry } from '../collector/components.ts';
import { configReference, errorTable, schemaText, withGenerated } from './documentation.ts';

function rewrite(file: string, generated: string): void {
  writeFileSync(file, withGenerated(readFileSync(file, 'utf8'), generated));
}

writeFileSync('docs/config.schema.json', schemaText(registry));
rewrite('docs/configuration.md', configReference(registry));
rewrite('docs/errors.md', errorTable());
console.error('generate: docs/config.schema.json, docs/configuration.md, docs/errors.md');
