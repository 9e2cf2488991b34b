/**
 * `npm run build`: makes dist/, the package's content. JavaScript and types by tsc; what the code reads beside itself
 * (rule sets, the probe, the addon) keeps its place relative to the code, so that the same URL finds it in both trees.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const ASSETS = [
  'rules/sets/*.yaml',
  'native/build/*.node',
  'native/build/*.bpf.o',
  'native/build/shikra-canary',
  'native/build/*.json',
];

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(1);
// tsc rewrites the extension in imports, not in the URL of a worker.
for (const file of globSync('dist/**/*.js')) {
  const text = readFileSync(file, 'utf8');
  const rewritten = text.replace(/(new URL\('\.[^']*)\.ts(', import\.meta\.url\))/g, '$1.js$2');
  if (rewritten !== text) writeFileSync(file, rewritten);
}
for (const file of ASSETS.flatMap((pattern) => globSync(pattern))) cpSync(file, `dist/${file}`);
cpSync('package.json', 'dist/package.json');
chmodSync('dist/cli/main.js', 0o755);
console.error('build: dist/ is made');
