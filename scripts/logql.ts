/** The stream selector of all detections. The name is `OTEL_SERVICE_NAME`, or `static_labels` of the `loki` exporter. */
export const AGENT_LOGS = '{service_name="shikra"}';
