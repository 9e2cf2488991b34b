/** The probe as others may have it: to load it before there is a source, which takes it over. */
export { Probe, releaseFreeMemory } from '../../../native/index.ts';
