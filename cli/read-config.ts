import { components } from '../collector/components.ts';
import type { ComponentRegistry } from '../collector/config/component.ts';
import { defaultConfig, type LoadedConfig, loadConfig } from '../collector/config/load.ts';
import { receivers } from '../collector/config/receivers.ts';
import { storeConfigSchema } from '../exporters/store/config.ts';

/** Every component that a configuration can name. */
export const registry: ComponentRegistry = { receivers, ...components, storeSchema: storeConfigSchema };

/** The configuration of a file, or the defaults. @throws ShikraError */
export function readConfig(file: string | undefined): LoadedConfig {
  const settings = { registry, environment: process.env };
  if (file === undefined) return { config: defaultConfig(settings), warnings: [] };
  return loadConfig(file, settings);
}
