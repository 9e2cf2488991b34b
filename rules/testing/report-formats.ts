export const REPORT_FORMATS = ['text', 'tap', 'junit', 'json'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];
