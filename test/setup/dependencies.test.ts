import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};
const all = { ...dependencies, ...devDependencies };

test('docs/dependencies.md gives a reason for each dependency, and names no other', () => {
  const page = readFileSync('docs/dependencies.md', 'utf8');
  const listed = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(listed, Object.keys(all));
});

test('every dependency is pinned', () => {
  for (const [name, version] of Object.entries(all)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
});

test('every package that the code imports is a dependency of its own, not one that another happens to bring', () => {
  // A test read YAML with a package that nobody had asked for: the next update of the one that brought it would have taken it away.
  const files = globSync('{bench,cli,collector,exporters,native,processors,rules,scripts,test}/**/*.ts');
  const imported = files.flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/^(?:import|export) [^;]*?from '(@[^/']+\/[^/']+|[a-z][^:/']*)[^:']*';$/gm),
  ]);
  const names = new Set(imported.map(([, name]) => name as string));
  assert.ok(names.has('zod'));
  assert.deepEqual(
    [...names].filter((name) => !(name in all)),
    [],
  );
});

test('there is one copy of each OpenTelemetry package and of zod', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, unknown> };
  const names = Object.keys(packages).map((path) => path.split('node_modules/').at(-1) as string);
  const shared = names.filter((name) => name.startsWith('@opentelemetry/') || name === 'zod');
  assert.deepEqual(
    shared.filter((name, index) => shared.indexOf(name) !== index),
    [],
  );
});

test('the README names only pages that exist', () => {
  // Made by others of the commands, not kept by hand.
  const generated = new Set(['docs/metrics.md', 'docs/benchmarks.md']);
  const links = [...readFileSync('README.md', 'utf8').matchAll(/\]\(([^):]+)\)/g)].map(
    ([, target]) => target as string,
  );
  for (const link of links.filter((target) => !generated.has(target))) readFileSync(link);
});

test('the lock file has every package that another one names, for every platform', () => {
  // Made on a machine that could not see one of them, a lock file lacks it, and `npm ci` then refuses it everywhere.
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dependencies?: object; optionalDependencies?: object; integrity?: string }>;
  };
  const locked = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  const named = Object.values(packages).flatMap((one) =>
    Object.keys({ ...one.dependencies, ...one.optionalDependencies }),
  );
  assert.deepEqual(
    [...new Set(named)].filter((name) => !locked.has(name)),
    [],
  );
  const unsigned = Object.entries(packages).filter(([path, { integrity }]) => path !== '' && integrity === undefined);
  assert.deepEqual(unsigned, []);
});
