import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Btf, elfSection, parseBtf } from '../../native/btf.ts';
import { wireFormat } from '../../native/index.ts';

const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
const BUILD = join(NATIVE, 'build/arm64');
const COMPILER = 'aarch64-linux-gnu-gcc';
/** ELF: e_machine, and what stands there for arm64. */
const MACHINE_OFFSET = 18;
const EM_AARCH64 = 183;

const skip = spawnSync(COMPILER, ['--version']).status !== 0 && `no ${COMPILER}`;

describe('for arm64, from the same sources,', { skip }, () => {
  before(() => execFileSync('make', ['-s', '-C', NATIVE, 'arm64'], { stdio: ['ignore', 'inherit', 'inherit'] }));

  test('the addon compiles', () => {
    for (const name of ['addon.o', 'probe.o'])
      assert.equal(readFileSync(join(BUILD, name)).readUInt16LE(MACHINE_OFFSET), EM_AARCH64, name);
  });

  test('the probe has the same programs, maps, and layouts of events', () => {
    const own = parts(join(NATIVE, 'build/probe.bpf.o'), wireFormat());
    const object = join(BUILD, 'probe.bpf.o');
    const arm64 = parts(object, parseBtf(elfSection(readFileSync(object), '.BTF')));
    assert.deepEqual(arm64, own);
    assert.ok(Object.keys(own).length > 20, 'there is something to compare');
  });

  test('arguments are read from where arm64 keeps them: the first apart, as its register holds the result', () => {
    const text = readFileSync(join(BUILD, 'probe.bpf.o')).toString('latin1');
    for (const member of ['orig_x0', 'syscallno']) assert.ok(text.includes(`${member}\0`), member);
    assert.ok(!text.includes('orig_ax\0'), 'no register of x86');
  });
});

/** Each struct and enumeration of event.h by its name, with all that is in it. */
function parts(object: string, format: Btf): Record<string, unknown> {
  const header = readFileSync(join(NATIVE, 'bpf/event.h'), 'utf8');
  const found: Record<string, unknown> = { sections: sectionNames(object) };
  for (const [, kind, name] of header.matchAll(/^(struct|enum) (\w+) \{/gm)) {
    if (kind === 'enum') found[name!] = Object.fromEntries(format.enumeration(name!));
    else {
      const { sizeBytes, offsets } = format.struct(name!);
      found[name!] = { sizeBytes, ...Object.fromEntries(offsets) };
    }
  }
  return found;
}

/** Of programs and maps; debugging sections apart. */
function sectionNames(object: string): string[] {
  const names = execFileSync('readelf', ['--wide', '--sections', object], { encoding: 'utf8' });
  return [...names.matchAll(/\] (\??(?:tp_btf|iter|\.maps|\.data|\.rodata)\S*)/g)].map(([, name]) => name!).sort();
}
