export { AUDIT_EVENT_TYPE, AUDIT_EVENT_TYPE_NAMES, AuditEvent } from './audit-event.ts';
export type { AuditFieldContext } from './fields/context.ts';
export { AuditFields, auditEvidence } from './fields/index.ts';
export { AuditFileReader, type AuditFileReaderOptions } from './file-reader.ts';
export { FileTail, type FileTailOptions, type TailChunk, type TailNotice } from './file-tail.ts';
export {
  AuditParser,
  type AuditParserOptions,
  type AuditParserStats,
  type AuditProblem,
  DEFAULT_MAX_BYTES,
  type ParsedAudit,
} from './parse.ts';
export { type FilePosition, Positions } from './positions.ts';
export type { AuditWebhook, AuditWebhookOptions, BatchOutcome } from './webhook.ts';
