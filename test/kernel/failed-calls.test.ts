/** Looking for what is not there makes most of the opens of many programs: they leave the kernel only if a rule asks for them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { allOf } from '../../collector/sources/kernel/system-calls.ts';
import { Capture } from './capture.ts';
import { buildEvade, evade } from './evasion/evade.ts';
import { buildTrigger, trigger } from './trigger.ts';

let folder: string;
let capture: Capture;

before(async () => {
  buildTrigger();
  buildEvade();
  folder = mkdtempSync(join(tmpdir(), 'shikra-failed-'));
  writeFileSync(join(folder, 'there'), '');
  capture = await Capture.start({ eventTypes: [] });
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

/** The opens of one program by their names in the folder. */
function opens(...names: string[]): string[] {
  return names.flatMap((name) => {
    const { events } = capture.of(
      () => trigger(['open', join(folder, name), '0', '0']),
      ['fs.path.name', 'fd.nameraw'],
    );
    return events.filter(({ type }) => type === 'open').map(({ fields }) => String(fields['fd.nameraw'] ?? name));
  });
}

test('failed calls come where they are wanted, and only there', () => {
  capture.source.want(allOf(['open']));
  assert.deepEqual(opens('there', 'absent'), [join(folder, 'there'), join(folder, 'absent')]);
  capture.source.want({ types: new Set(['open']), failed: new Set() });
  assert.deepEqual(opens('there', 'absent'), [join(folder, 'there')]);
  capture.source.want(allOf(['open']));
  assert.deepEqual(opens('absent'), [join(folder, 'absent')]);
});

test('a call by a number of x32 comes although it fails', { skip: process.arch !== 'x64' }, () => {
  capture.source.want({ types: new Set(['open']), failed: new Set() });
  const { events } = capture.of(() => evade(['x32', '2', join(folder, 'absent')]), ['shikra.evt.abi']);
  assert.deepEqual(
    events.filter(({ type }) => type === 'open').map(({ fields }) => fields['shikra.evt.abi']),
    ['x32'],
  );
});
