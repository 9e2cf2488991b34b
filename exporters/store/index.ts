export { type StoreConfig, storeConfigSchema } from './config.ts';
export { type DeadLetter, type DeadLetterChoice, DeadLetters, type Refused } from './dead-letters.ts';
export { type IncidentLog, Incidents } from './incidents.ts';
export { StoreProcessor } from './processor.ts';
export type { StoreQuery } from './reading.ts';
export { Store, type StoreDeps } from './store.ts';
export { StoredDetection } from './stored-detection.ts';
