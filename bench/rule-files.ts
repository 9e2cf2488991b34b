import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundledRulesPath } from '../rules/files.ts';

/** Falco's rules, if they lie beside this repository. */
const FALCO_RULES = fileURLToPath(new URL('../../shared/corpora/falco-rules', import.meta.url));

/** All rules that there are: Falco's, then the bundled ones. */
export const ALL_RULES: readonly string[] = [...(existsSync(FALCO_RULES) ? [FALCO_RULES] : []), bundledRulesPath()];
