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
  /** Each batch is a serialized {@link PortableRule}[]: all at once take longer to decode than rings should wait. */
  | { readonly ok: true; readonly batches: readonly Uint8Array[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[] };

/** A millisecond's worth of decoding. */
const BATCH_RULES = 12;

/** Problems are texts by now, so nobody needs the place in the file, which would carry the file along. */
export type PortableRule = Omit<CheckedRule, 'place'>;

function inBatches(rules: readonly CheckedRule[]): Uint8Array[] {
  const portable = rules.map(({ place, ...rule }): PortableRule => rule);
  const count = Math.ceil(rules.length / BATCH_RULES);
  return Array.from({ length: count }, (_, i) => serialize(portable.slice(i * BATCH_RULES, (i + 1) * BATCH_RULES)));
}

const request = JSON.parse(await text(process.stdin)) as RulesRequest;
const read = await readRuleFiles(request.rulesFiles);
const { rules, errors, warnings } = loadRulesFor(request, read);
const answer: ReadRules =
  errors.length > 0
    ? { ok: false, errors }
    : {
        ok: true,
        batches: inBatches(rules.filter(({ source }) => source === request.source)),
        warnings: [
          ...[...warnings, ...(await sourceWarnings(rules, request.source))].map(formatProblem),
          ...idleRules(rules, request),
        ],
      };
const bytes = serialize(answer);
process.stdout.write(bytes);
if (answer.ok) await new RulesCache().put(cacheKey(request, read.files), bytes);
