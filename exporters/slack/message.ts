import type { Detection } from '../../collector/detection/detection.ts';
import { PRIORITY_COLORS } from '../helper/priority-colors.ts';
import { firstOf, shownFields, subjectOf } from '../helper/subject.ts';
import { cut, cutEscaped } from '../helper/text.ts';
import type { StoredDetection } from '../store/stored-detection.ts';

// Block Kit's limits: 50 blocks a message, 3000 characters in a section, 2000 in a field of one, 10 elements in a context.
const LONGEST_SECTION = 2900;
const LONGEST_ELEMENT = 300;
const MOST_ELEMENTS = 10;
const LONGEST_FALLBACK = 1000;

/** A message with one coloured part for each detection. `text` is what notifications and screen readers have. */
export function messageOf(batch: readonly StoredDetection[]): object {
  const detections = batch.map(({ detection }) => detection);
  const [first] = detections;
  const text = detections.length === 1 ? `${first!.priority}: ${first!.rule}` : `${detections.length} detections`;
  return { text: cutEscaped(text, LONGEST_FALLBACK, escapeText), attachments: detections.map(attachmentOf) };
}

function attachmentOf(detection: Detection): object {
  const head = `*${detection.priority}*  ${cutEscaped(detection.rule, 500, escapeText)}`;
  const output = cutEscaped(detection.output, LONGEST_SECTION - head.length - 8, escapeCode);
  return {
    color: PRIORITY_COLORS[detection.priority],
    fallback: cutEscaped(`${detection.priority}: ${detection.rule}: ${detection.output}`, LONGEST_FALLBACK, escapeText),
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: `${head}\n\`\`\`${output}\`\`\`` } },
      { type: 'context', elements: contextOf(detection) },
    ],
  };
}

function contextOf(detection: Detection): object[] {
  const { host, namespace, workload } = subjectOf(detection);
  const pod = firstOf(detection, ['k8s.pod.name']);
  const named: [string, string | undefined][] = [
    ['host', host],
    ['namespace', namespace],
    ['workload', workload],
    ['pod', pod],
    ['tags', detection.tags.join(', ')],
    ['time', detection.time],
    ['uid', detection.uuid],
    ...shownFields(detection),
  ];
  const texts = named.flatMap(([name, value]) => (value ? [`${name}: ${cut(value, 200)}`] : []));
  return texts
    .slice(0, MOST_ELEMENTS)
    .map((text) => ({ type: 'plain_text', emoji: false, text: cut(text, LONGEST_ELEMENT) }));
}

/** Slack's three control characters; without this an attacker's file name could mention a whole channel or bring a link. */
function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Nothing inside ends the block of code. */
function escapeCode(text: string): string {
  return escapeText(text).replaceAll('```', "'''");
}
