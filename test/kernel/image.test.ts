/** What deploy/Dockerfile builds, by its own steps but for the packages of the system: it starts, and detects, with nothing beside it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Command, configure, NEEDED_CAPABILITIES, opensOf, temporaryFolder } from './agent-command.ts';

const SUFFIX = 'shikra-image';
const BUILD_MILLIS = 200_000;
const [buildStage = '', lastStage = ''] = readFileSync('deploy/Dockerfile', 'utf8')
  .split(/^FROM /m)
  .slice(1);
const ignored = readFileSync('deploy/Dockerfile.dockerignore', 'utf8').trim().split('\n');

/** The repository as the build sees it; its packages are what `npm ci` has put there when this was set up. */
function checkout(to: string): void {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).trim().split('\n');
  const isIgnored = (file: string) => ignored.some((path) => file === path || file.startsWith(`${path}/`));
  for (const file of files.filter((each) => !isIgnored(each))) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    copyFileSync(file, join(to, file));
  }
  cpSync('node_modules', join(to, 'node_modules'), { recursive: true, verbatimSymlinks: true });
}

/** What the stage runs, without what Debian's packages are installed with. */
function steps(stage: string): string[] {
  const commands = [...stage.matchAll(/^RUN ((?:.*\\\n)*.*)$/gm)].map(([, command]) => command!);
  return commands.filter((command) => !command.startsWith('apt-get'));
}

function buildImage(t: TestContext): string {
  const folder = temporaryFolder(t);
  const source = join(folder, 'src');
  checkout(source);
  const [install, ...rest] = steps(buildStage);
  assert.equal(install, 'npm ci');
  assert.ok(rest.length > 0);
  for (const command of rest) {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
      cwd: source,
      encoding: 'utf8',
      timeout: BUILD_MILLIS,
    });
    assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
  }
  const image = join(folder, 'image');
  for (const [, from, to] of lastStage.matchAll(/^COPY --from=build \/src\/(\S+) (\S+)$/gm))
    cpSync(join(source, from!), join(image, to === './' ? from! : to!), { recursive: true, verbatimSymlinks: true });
  return image;
}

test('the image has what runs and nothing else, and detects with its four capabilities', {
  skip: process.getuid?.() === 0 ? false : 'the probe needs root',
}, async (t) => {
  const image = buildImage(t);
  assert.deepEqual(readdirSync(image).sort(), ['dist', 'node_modules', 'package.json']);
  for (const name of ['typescript', '@biomejs/biome', 'fast-check', '@grafana/grafana-foundation-sdk'])
    assert.ok(!existsSync(join(image, 'node_modules', name, 'package.json')), `${name} is for work on Shikra only`);

  const folder = temporaryFolder(t);
  const file = join(folder, SUFFIX);
  writeFileSync(file, '');
  const config = configure(folder, { rules: opensOf(SUFFIX) });
  const held = ['-all', ...NEEDED_CAPABILITIES.map((name) => `+${name}`)].join(',');
  const rights = `setpriv --inh-caps=${held} --bounding-set=${held} --no-new-privs`;
  // The program in the place of that of the sources, which is the first parameter.
  const script = `shift; cd ${image}; exec ${rights} "$0" dist/cli/main.js "$@"`;
  const agent = await new Command(t, ['run', '-c', config], {
    prefix: ['sh', '-c', script],
    environment: { NODE_ENV: 'production' },
  }).ready();
  readFileSync(file);
  await agent.until('the detection', () => agent.detections.some(({ output }) => output.includes(file)));
});
