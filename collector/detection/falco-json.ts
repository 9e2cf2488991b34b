import { compactObject } from './compact.ts';
import type { Detection } from './detection.ts';
import { stringifyExact } from './json.ts';

/**
 * The detection as Falco prints an alert with `json_output`: the same keys in the same (sorted) order, one line, no newline.
 * `uuid` comes last, after Falco's own keys; Falco has no such key and its consumers ignore it.
 */
export function toFalcoJson(detection: Detection): string {
  return stringifyExact({
    hostname: detection.hostname,
    output: detection.output,
    output_fields: sortKeys(detection.output_fields),
    priority: detection.priority,
    rule: detection.rule,
    source: detection.source,
    tags: [...detection.tags].sort(),
    time: detection.time,
    uuid: detection.uuid,
  });
}

function sortKeys<T>(object: Readonly<Record<string, T>>): Record<string, T> {
  const keys = Object.keys(object).sort();
  return compactObject(
    keys,
    keys.map((key) => object[key]!),
  );
}
