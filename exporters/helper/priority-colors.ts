import type { Priority } from '../../collector/detection/priority.ts';

/** A colour for each priority in messages to people, hotter as it gets worse. */
export const PRIORITY_COLORS: Readonly<Record<Priority, `#${string}`>> = {
  Emergency: '#7f0000',
  Alert: '#b71c1c',
  Critical: '#d50000',
  Error: '#f4511e',
  Warning: '#fb8c00',
  Notice: '#1e88e5',
  Informational: '#43a047',
  Debug: '#9e9e9e',
};
