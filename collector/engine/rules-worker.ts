/**
 * A thread that lives for one reading of the rules: that takes a few hundred milliseconds, and a YAML parser and its garbage in memory. The collector's thread
 * gets the checked rules and only generates code from them, in steps between the events; neither events nor deliveries wait for the reading.
 */
import { once } from 'node:events';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { type CheckedRule, formatProblem } from '../../rules/index.ts';
import { loadRulesFor, type RulesRequest } from './load-rules.ts';
import { idleRules, sourceWarnings } from './source-rules.ts';

/** What the collector's thread gets. Problems are texts by now. */
export type ReadRules =
  | { readonly ok: true; readonly rules: readonly PortableRule[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[] };

/** Problems are texts by now, so nobody needs the place in the file, which would carry the file along. */
export type PortableRule = Omit<CheckedRule, 'place'>;

interface Task {
  readonly request: RulesRequest;
  readonly port: MessagePort;
}

const [{ request, port }] = (await once(parentPort!, 'message')) as [Task];

const { rules, errors, warnings } = await loadRulesFor(request);
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
port.postMessage(answer);
port.close();
parentPort!.close();
