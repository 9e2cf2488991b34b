import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Loads a module of this project when it is first needed, without a promise: checking a configuration is one step, and what it does not
 * name should cost neither time nor memory.
 * @param path relative to `from`, without extension: the sources end in .ts, the package's files in .js
 * @param from the `import.meta.url` of the caller
 */
export function loadModule<M>(path: string, from: string): M {
  return createRequire(from)(`${path}${extname(fileURLToPath(from))}`) as M;
}
