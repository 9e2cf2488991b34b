import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump, load } from 'js-yaml';

/** Where the parts of deploy/compose listen in a test, `host:port` by the name that they have there: `loki:3100`. */
export type Addresses = Readonly<Record<string, string>>;

/** Folders that a container has to itself, and where they are in a test. */
export type Folders = Readonly<Record<string, string>>;

// biome-ignore lint/suspicious/noExplicitAny: whatever the part's configuration has
type Config = any;

/**
 * A configuration out of deploy/compose, as it is but for places: so what these tests show to work is what users are given.
 * @param change what else a test must have otherwise, such as shorter pauses
 * @returns the path of the file that was written
 */
export function composeConfig(
  file: string,
  to: string,
  addresses: Addresses,
  folders: Folders,
  change: (config: Config) => void = () => {},
): string {
  let text = readFileSync(join('deploy/compose', file), 'utf8');
  for (const [from, address] of Object.entries({ ...addresses, ...folders })) text = text.replaceAll(from, address);
  const config = load(text);
  change(config);
  return write(join(to, file), dump(config));
}

/** Rules as they are in alerts/, but looked at every second. */
export function hastyRules(file: string, to: string): string {
  return write(to, readFileSync(file, 'utf8').replaceAll('interval: 30s', 'interval: 1s'));
}

function write(file: string, text: string): string {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  return file;
}
