/**
 * A process that lives for one reading of the rules: that takes a few hundred milliseconds, and a YAML parser and its garbage in memory. The request comes
 * as JSON on standard input, what was read goes to standard output. The collector's thread gets the checked rules and only generates code from
 * them, in steps between the events; neither events nor deliveries wait for the reading.
 */
import { text } from 'node:stream/consumers';
import { serialize } from 'node:v8';
import { type CheckedRule, formatProblem, readRuleFiles } from '../../rules/index.ts';
import { loadRulesFor, type RulesRequest } from './load-rules.ts';
import { cacheKey, RulesCache } from './rules-cache.ts';
import { idleRules, sourceWarnings } from './source-rules.ts';

/** What the collector's thread gets. Problems are texts by now. */
export type ReadRules =
  | { readonly ok: true; readonly rules: readonly PortableRule[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[] };

/** Problems are texts by now, so nobody needs the place in the file, which would carry the file along. */
export type PortableRule = Omit<CheckedRule, 'place'>;

const request = JSON.parse(await text(process.stdin)) as RulesRequest;
const read = await readRuleFiles(request.rulesFiles);
const { rules, errors, warnings } = loadRulesFor(request, read);
const answer: ReadRules =
  errors.length > 0
    ? { ok: false, errors }
    : {
        ok: true,
        rules: rules.filter(({ source }) => source === request.source).map(({ place, ...rule }) => rule),
        warnings: [
          ...[...warnings, ...(await sourceWarnings(rules, request.source))].map(formatProblem),
          ...idleRules(rules, request),
        ],
      };
const bytes = serialize(answer);
process.stdout.write(bytes);
if (answer.ok) await new RulesCache().put(cacheKey(request, read.files), bytes);
