import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createResource } from '../../collector/pipeline/resource.ts';
import { detection } from '../fixtures/detections.ts';

/** Of Loki itself, of its push API by the `loki` exporter, and of OTLP's other parts of a record. */
const OTHERS = [
  'service_name',
  'detected_level',
  'level',
  'priority',
  'source',
  'host',
  'namespace',
  'rule',
  'event_name',
  'severity_number',
  'severity_text',
];

const SUBJECT = {
  'proc.exepath': '/bin/sh',
  'proc.pname': 'sshd',
  'user.name': 'root',
  'container.full_id': 'c0ffee',
  'container.name': 'api',
  'container.image.repository': 'shop/api',
  'container.image.tag': '1',
  'container.type': 'docker',
  'k8s.ns.name': 'shop',
  'k8s.pod.name': 'api-1',
  'k8s.deployment.name': 'api',
  'fd.sip': '10.0.0.1',
  'fd.sport': 443,
  'fd.rip': '10.0.0.1',
  'fd.rport': 443,
};

const FILE = detection(0, { evidence: { ...detection().evidence, ...SUBJECT } });
const loki = (name: string) => name.replace(/[^a-zA-Z0-9_]/g, '_');
const resource = createResource({ version: '1', environment: { K8S_NODE_NAME: 'node-1' } });

const known = new Set([
  ...OTHERS,
  ...Object.keys(toLogRecord(FILE).attributes ?? {}).map(loki),
  ...Object.keys(resource.attributes).map(loki),
]);

const STRING = /"(?:[^"\\]|\\.)*"|`[^`]*`/g;

/** What a LogQL query names that no detection has. Empty if all is well. */
export function unknownLabelsIn(query: string): string[] {
  const templates = [...query.matchAll(/\{\{.*?\}\}/g)].flatMap(([template]) =>
    [...template.matchAll(/\.(\w+)/g)].map(([, name]) => name as string),
  );
  const bare = query.replace(STRING, '""').replace(/ip\(""\)/g, '""');
  const made = new Set(
    [...bare.matchAll(/label_format\s+(.*?)(?=[|[\n]|$)/g)].flatMap(([, all]) => assigned(all as string, 0)),
  );
  const renamed = [...bare.matchAll(/label_format\s+(.*?)(?=[|[\n]|$)/g)].flatMap(([, all]) =>
    assigned(all as string, 1),
  );
  const compared = [
    ...bare
      .replace(/label_format\s+(.*?)(?=[|[\n]|$)/g, ' ')
      .matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|>=|<=|=|>|<)\s*(?:""|\d)/g),
  ];
  const grouped = [...bare.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, all]) =>
    (all as string).split(',').map((name) => name.trim()),
  );
  return [...templates, ...renamed, ...compared.map(([, name]) => name as string), ...grouped].filter(
    (name) => name !== '' && !known.has(name) && !made.has(name),
  );
}

/** Of `a=b, c=""`: what is assigned (0), or what is read (1). */
function assigned(text: string, side: 0 | 1): string[] {
  return text
    .split(',')
    .map((pair) => (pair.split('=')[side] ?? '').trim())
    .filter((name) => /^[a-zA-Z_]\w*$/.test(name));
}
