import { z } from 'zod';
import type { Detection } from '../detection/detection.ts';
import { atLeast, PRIORITIES, parsePriority } from '../detection/priority.ts';
import { loadModule } from '../lazy.ts';

type ConditionModule = typeof import('./condition.ts');

/** The language of rules is large, and few filters have a condition. */
const conditions = () => loadModule<ConditionModule>('./condition', import.meta.url);

const minPriority = z
  .string()
  .refine((text) => parsePriority(text) !== undefined, `expected one of ${PRIORITIES.join(', ')}`)
  .transform((text) => parsePriority(text)!);

const condition = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    for (const message of conditions().checkCondition(text)) context.addIssue({ code: 'custom', message });
  });

export const FILTER_DESCRIPTION = 'Which detections it gets; all that is said must hold. Left out, it gets every one.';

/** `filter` of every exporter that takes detections. Of a list, one will do. */
export const filterSchema = z
  .strictObject({
    min_priority: minPriority.optional().describe('Only detections of at least this priority.'),
    sources: z
      .array(z.string().min(1))
      .optional()
      .describe('Only detections of these sources: syscall, k8s_audit, internal.'),
    rules: z
      .array(z.string().min(1))
      .optional()
      .describe('Only detections of these rules; `*` stands for any text: `Shell*`.'),
    tags: z.array(z.string().min(1)).optional().describe('Only detections of rules with one of these tags.'),
    condition: condition
      .optional()
      .describe(
        'Only detections of events for which this holds, in the language of rules: `k8s.ns.name = payments and proc.name in (bash, sh)`. A field that the detection does not have makes a check false.',
      ),
  })
  .prefault({});

export type FilterConfig = z.infer<typeof filterSchema>;

/** @returns undefined if every detection passes */
export function createFilter(config: FilterConfig): ((detection: Detection) => boolean) | undefined {
  const { min_priority, sources, rules, tags, condition } = config;
  const tests: ((detection: Detection) => boolean)[] = [];
  if (min_priority !== undefined) tests.push(({ priority }) => atLeast(priority, min_priority));
  if (sources !== undefined) tests.push(({ source }) => sources.includes(source));
  if (rules !== undefined) {
    const patterns = rules.map(patternOf);
    tests.push(({ rule }) => patterns.some((pattern) => pattern.test(rule)));
  }
  if (tags !== undefined) tests.push((detection) => tags.some((tag) => detection.tags.includes(tag)));
  if (condition !== undefined) tests.push(conditions().compileCondition(condition));
  return tests.length === 0 ? undefined : (detection) => tests.every((test) => test(detection));
}

/** One line for people: `Critical or worse; tags network; proc.name = bash`. Empty if every detection passes. */
export function describeFilter({ min_priority, sources, rules, tags, condition }: FilterConfig): string {
  const list = (name: string, items: readonly string[] | undefined) =>
    items === undefined ? [] : [`${name} ${items.join(', ')}`];
  return [
    ...(min_priority === undefined ? [] : [`${min_priority} or worse`]),
    ...list('sources', sources),
    ...list('rules', rules),
    ...list('tags', tags),
    ...(condition === undefined ? [] : [condition]),
  ].join('; ');
}

/** Only `*` means anything: names hold brackets and question marks. Its text is the user's own, and has no repetition inside another. */
function patternOf(glob: string): RegExp {
  return new RegExp(`^${glob.split('*').map(RegExp.escape).join('.*')}$`, 's');
}
