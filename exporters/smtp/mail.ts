import type { Detection } from '../../collector/detection/detection.ts';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { PRIORITY_COLORS } from '../helper/priority-colors.ts';
import { shownFields, subjectOf } from '../helper/subject.ts';
import { cut } from '../helper/text.ts';

const LONGEST_SUBJECT = 200;
const LONGEST_VALUE = 2000;

export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly messageId: string;
  readonly attachments: { filename: string; content: string; contentType: string }[];
}

/** One mail about several detections; the subject is about the most severe. The same detections always give the same message id. */
export function mailOf(detections: readonly Detection[]): Mail {
  const worst = [...detections].sort((a, b) => PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority))[0]!;
  const more = detections.length === 1 ? '' : ` (and ${detections.length - 1} more)`;
  const where = worst.hostname === '' ? '' : ` on ${worst.hostname}`;
  return {
    subject: oneLine(`[${worst.priority}] ${cut(worst.rule, LONGEST_SUBJECT)}${where}${more}`),
    text: detections.map(asText).join('\n\n'),
    html: `<!doctype html><meta charset="utf-8"><body>${detections.map(asHtml).join('\n')}</body>`,
    messageId: `<${detections[0]!.uuid}.${detections.length}@shikra.invalid>`,
    attachments: [
      {
        filename: 'detections.jsonl',
        content: detections.map((detection) => `${toFalcoJson(detection)}\n`).join(''),
        contentType: 'application/x-ndjson',
      },
    ],
  };
}

function rowsOf(detection: Detection): [name: string, value: string][] {
  const { host, namespace, workload, source } = subjectOf(detection);
  const named: [string, string | undefined][] = [
    ['time', detection.time],
    ['host', host],
    ['namespace', namespace],
    ['workload', workload],
    ['source', source],
    ['tags', detection.tags.join(', ')],
    ...shownFields(detection),
    ['uuid', detection.uuid],
  ];
  return named.flatMap(([name, value]) => (value ? [[name, cut(value, LONGEST_VALUE)] as [string, string]] : []));
}

function asText(detection: Detection): string {
  const rows = rowsOf(detection).map(([name, value]) => `  ${name}: ${oneLine(value)}`);
  return [`${detection.priority}: ${oneLine(detection.rule)}`, `  ${oneLine(detection.output)}`, ...rows].join('\n');
}

function asHtml(detection: Detection): string {
  const rows = rowsOf(detection).map(
    ([name, value]) => `<tr><th align="left">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<h3 style="border-left:6px solid ${PRIORITY_COLORS[detection.priority]};padding-left:8px">${escapeHtml(
    `${detection.priority}: ${oneLine(detection.rule)}`,
  )}</h3>
<pre style="white-space:pre-wrap">${escapeHtml(detection.output)}</pre>
<table>${rows.join('')}</table>`;
}

function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an attacker's newline must not make a line of its own
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
