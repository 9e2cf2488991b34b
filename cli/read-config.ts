import { components } from '../collector/components.ts';
import { defaultConfig, type LoadedConfig, loadConfig } from '../collector/config/load.ts';

/** The configuration of a file, or the defaults. @throws ShikraError */
export function readConfig(file: string | undefined): LoadedConfig {
  const settings = { registry: components, environment: process.env };
  if (file === undefined) return { config: defaultConfig(settings), warnings: [] };
  return loadConfig(file, settings);
}
