import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

interface Rule {
  readonly title: string;
  /** The files that the rule is for. */
  readonly files: RegExp;
  /** What they may import of this project; everything that does not match is a break of the rule. */
  readonly mayImport?: RegExp;
  readonly mayNotImport?: RegExp;
}

const LEAVES = 'collector/(errors\\.ts|event/|detection/|telemetry/)';

/** docs/architecture.md says why. */
const RULES: readonly Rule[] = [
  {
    title: 'event, detection, errors and telemetry import only one another',
    files: new RegExp(`^${LEAVES}`),
    mayImport: new RegExp(`^${LEAVES}`),
  },
  {
    title: 'only the kernel source and the doctor import native',
    files: /^(?!native\/|collector\/sources\/kernel\/|cli\/doctor\/|test\/|bench\/)/,
    mayNotImport: /^native\//,
  },
  {
    title: 'native imports nothing but errors',
    files: /^native\//,
    mayImport: /^(native\/|collector\/errors\.ts)/,
  },
  {
    title: 'what is recorded comes from the source and the engine, and no agent is needed for it',
    files: /^collector\/recording\//,
    mayImport: new RegExp(`^(${LEAVES}|collector/(recording|engine|sources/kernel|containers)/|rules/)`),
  },
  {
    title: 'YAML is read without knowing what for',
    files: /^collector\/yaml\//,
    mayImport: /^collector\/yaml\//,
  },
  {
    title: 'the language of rules knows fields and detection types, not events in flight',
    files: /^rules\/(language|fields)\//,
    mayImport: /^(rules\/|collector\/(detection|event|yaml)\/)/,
  },
  {
    title: 'a processor imports no exporter',
    files: /^processors\//,
    mayNotImport: /^exporters\//,
  },
  {
    title: 'the pipeline is handed the factories',
    files: /^collector\/pipeline\//,
    mayNotImport: /^(processors|cli|collector\/components\.ts|exporters\/(?!helper\/|store\/))/,
  },
  {
    title: 'only the command line and the tests import the command line',
    files: /^(?!cli\/|test\/|bench\/|scripts\/)/,
    mayNotImport: /^cli\//,
  },
  {
    title: 'no part imports a test, a benchmark or a script',
    files: /^(?!test\/|bench\/|scripts\/)/,
    mayNotImport: /^(test|bench|scripts)\//,
  },
];

interface Import {
  readonly file: string;
  readonly target: string;
}

const IMPORT = /(?:\bfrom|^import|\bimport\()\s*['"](\.[^'"]+)['"]/gm;

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(IMPORT)].map(([, path]) => ({ file, target: join(dirname(file), path as string) }));
}

const FOLDERS = ['cli', 'collector', 'exporters', 'native', 'processors', 'rules', 'bench', 'scripts', 'test'];
const files = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`));
const imports = files.flatMap(importsOf);

for (const { title, files: concerned, mayImport, mayNotImport } of RULES) {
  test(title, () => {
    const breaks = imports
      .filter(({ file }) => concerned.test(file))
      .filter(({ target }) => mayNotImport?.test(target) || mayImport?.test(target) === false)
      .map(({ file, target }) => `${file} imports ${target}`);
    assert.deepEqual(breaks, []);
  });
}

for (const folder of ['processors', 'exporters']) {
  test(`none of the ${folder} imports another`, () => {
    const component = (path: string) => path.split('/')[1];
    const breaks = imports
      .filter(({ file, target }) => file.startsWith(`${folder}/`) && target.startsWith(`${folder}/`))
      .filter(({ file, target }) => component(file) !== component(target))
      // The helper is there to be shared, and the store is what it delivers from.
      .filter(({ target }) => !['helper', 'store'].includes(component(target) as string))
      .map(({ file, target }) => `${file} imports ${target}`);
    assert.deepEqual(breaks, []);
  });
}

test('the rules see the imports', () => {
  assert.ok(imports.some(({ file, target }) => file === 'cli/run.ts' && target === 'cli/read-config.ts'));
  assert.ok(imports.some(({ file, target }) => file === 'cli/doctor/probe.ts' && target === 'native/index.ts'));
});
