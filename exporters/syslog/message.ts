import type { Detection } from '../../collector/detection/detection.ts';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import { PRIORITIES, type Priority } from '../../collector/detection/priority.ts';
import { cutBytes } from '../helper/text.ts';

/** By RFC 5424's number. */
export const FACILITIES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

export const FORMATS = ['json', 'text', 'cef'] as const;

export interface MessageSettings {
  readonly facility: (typeof FACILITIES)[number];
  readonly format: (typeof FORMATS)[number];
  readonly app_name: string;
  readonly maxBytes: number;
}

/** The private enterprise number that RFC 5612 keeps for documentation: Shikra has none of its own. */
const SD_ID = 'shikra@32473';

/**
 * A message as RFC 5424 has it. The severity is the priority's: Falco's priorities are syslog's. What is worth a search stands in structured data, so
 * that it survives when the message is cut.
 */
export function formatMessage(detection: Detection, settings: MessageSettings): string {
  const { facility, format, app_name, maxBytes } = settings;
  const pri = FACILITIES.indexOf(facility) * 8 + PRIORITIES.indexOf(detection.priority);
  // RFC 5424 takes at most six decimals of a second.
  const time = detection.time.replace(/(\.\d{6})\d*Z$/, '$1Z');
  const host = detection.hostname.replace(/[^!-~]/g, '').slice(0, 255) || '-';
  const data = structuredData({
    uid: detection.uuid,
    rule: detection.rule,
    priority: detection.priority,
    source: detection.source,
  });
  const head = `<${pri}>1 ${time} ${host} ${app_name} - detection ${data} `;
  const text = { json: toFalcoJson, text: oneLine, cef }[format](detection);
  return cutBytes(`${head}\ufeff${text}`, maxBytes);
}

function oneLine({ rule, output }: Detection): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an attacker's newline must not forge a line in the server's file
  return `${rule}: ${output}`.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

function structuredData(parameters: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(parameters).map(
    ([name, value]) => ` ${name}="${cutBytes(value, 200).replace(/["\\\]]/g, '\\$&')}"`,
  );
  return `[${SD_ID}${pairs.join('')}]`;
}

/** CEF's severity, 0 to 10. */
const CEF_SEVERITY: Readonly<Record<Priority, number>> = {
  Emergency: 10,
  Alert: 9,
  Critical: 8,
  Error: 7,
  Warning: 6,
  Notice: 4,
  Informational: 3,
  Debug: 0,
};

function cef(detection: Detection): string {
  const header = ['CEF:0', 'Shikra', 'Shikra', '1', detection.ruleset, detection.rule]
    .map((part) => part.replace(/[|\\]/g, '\\$&').replace(/[\r\n]+/g, ' '))
    .join('|');
  const extension: Readonly<Record<string, string>> = {
    externalId: detection.uuid,
    rt: String(Date.parse(detection.time)),
    dvchost: detection.hostname,
    cat: detection.source,
    msg: detection.output,
    cs1Label: 'tags',
    cs1: detection.tags.join(','),
  };
  const pairs = Object.entries(extension).map(
    ([name, value]) => `${name}=${value.replace(/[\\=]/g, '\\$&').replace(/\r\n|\r|\n/g, '\\n')}`,
  );
  return `${header}|${CEF_SEVERITY[detection.priority]}|${pairs.join(' ')}`;
}
