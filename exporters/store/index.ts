export { type StoreConfig, storeConfigSchema } from './config.ts';
export { StoreProcessor } from './processor.ts';
export { type DeadLetter, Store, type StoreDeps, type StoreQuery } from './store.ts';
export { StoredDetection } from './stored-detection.ts';
