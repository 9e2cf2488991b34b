/** Apart from the source, so that the main thread can ask without loading the probe. */
export { checkRequirements } from '../../../native/requirements.ts';
