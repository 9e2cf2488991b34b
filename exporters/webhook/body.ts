import type { Detection } from '../../collector/detection/detection.ts';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { compileTemplate } from './template.ts';

export const FORMATS = ['json', 'cloudevents', 'template'] as const;

interface BodyConfig {
  readonly format: (typeof FORMATS)[number];
  readonly template?: string | undefined;
  readonly event_source?: string | undefined;
  readonly batch: { readonly max_records: number };
}

export interface Body {
  readonly contentType: string;
  text(batch: readonly StoredDetection[]): string;
}

export function createBody({ format, template, event_source, batch }: BodyConfig): Body {
  const isArray = batch.max_records > 1;
  const each = {
    json: toFalcoJson,
    cloudevents: (detection: Detection) => cloudEvent(detection, event_source),
    template: compileTemplate(template ?? ''),
  }[format];
  const types = {
    json: 'application/json',
    cloudevents: isArray ? 'application/cloudevents-batch+json' : 'application/cloudevents+json',
    template: 'application/json',
  };
  return {
    contentType: types[format],
    text(items) {
      const texts = items.map(({ detection }) => each(detection));
      return isArray ? `[${texts.join(',')}]` : texts.join('');
    },
  };
}

const EVENT_TYPE = 'shikra.detection.v1';

/** CloudEvents 1.0, structured mode. */
function cloudEvent(detection: Detection, source = `/shikra/${encodeURIComponent(detection.hostname)}`): string {
  const attributes = JSON.stringify({
    specversion: '1.0',
    id: detection.uuid,
    source,
    type: EVENT_TYPE,
    subject: detection.rule,
    time: detection.time,
    datacontenttype: 'application/json',
  });
  return `${attributes.slice(0, -1)},"data":${toFalcoJson(detection)}}`;
}
