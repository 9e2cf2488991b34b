import type { Detection } from '../../collector/detection/detection.ts';

/** What a template may name beside the fields of rules, which have a dot in their name. */
const OWN: Readonly<Record<string, (detection: Detection) => string>> = {
  uuid: ({ uuid }) => uuid,
  time: ({ time }) => time,
  rule: ({ rule }) => rule,
  priority: ({ priority }) => priority,
  source: ({ source }) => source,
  hostname: ({ hostname }) => hostname,
  output: ({ output }) => output,
  description: ({ description }) => description,
  tags: ({ tags }) => tags.join(','),
};

const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g;

/** Names in a template that would always be empty. */
export function unknownNames(template: string): string[] {
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name!);
  return names.filter((name) => !Object.hasOwn(OWN, name) && !name.includes('.'));
}

/** The template as a function. Values are escaped for the inside of a JSON text: an output with a quote stays one value. */
export function compileTemplate(template: string): (detection: Detection) => string {
  const parts = template.split(PLACEHOLDER); // text, name, text, name, ..., text
  return (detection) =>
    parts.map((part, index) => (index % 2 === 0 ? part : escapeJson(textOf(detection, part)))).join('');
}

/** `<NA>` for a field that the detection does not have, as in outputs of rules. */
function textOf(detection: Detection, name: string): string {
  if (Object.hasOwn(OWN, name)) return OWN[name]!(detection);
  const value = detection.evidence[name] ?? detection.output_fields[name] ?? '<NA>';
  return Array.isArray(value) ? value.join(' ') : String(value);
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
