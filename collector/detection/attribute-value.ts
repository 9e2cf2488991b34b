/** What an attribute of a log record may hold here: no bigint, no null (the SDK drops the one and sends the other as empty). */
export type AttributeValue = string | number | boolean | string[];
export type DetectionAttributes = Record<string, AttributeValue>;
