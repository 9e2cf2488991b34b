import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AuditFileReader, type AuditFileReaderOptions } from '../../../collector/sources/k8s-audit/index.ts';
import { event } from './events.ts';

const folder = mkdtempSync(join(tmpdir(), 'shikra-audit-'));
after(() => rmSync(folder, { recursive: true }));

const line = (id: string): string => JSON.stringify(event({ auditID: id }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What a reader finds: the ids of events, and problems with the folder taken out of their place. */
async function read(
  path: string,
  options: AuditFileReaderOptions = {},
): Promise<{ ids: string[]; problems: string[] }> {
  const problems: string[] = [];
  const reader = new AuditFileReader(path, {
    ...options,
    onProblem: ({ reason, place }) => problems.push(`${reason} ${place.replace(`${folder}/`, '')}`),
  });
  const ids: string[] = [];
  for await (const { json } of reader.read()) ids.push((json as { auditID: string }).auditID);
  assert.equal(reader.stats.accepted, ids.length);
  return { ids, problems };
}

describe('audit files', () => {
  it('are read line by line, and a bad line costs only itself', async () => {
    const path = file('audit.log', `${line('a')}\n\n{"kind":\n${line('b')}\r\n7\n${line('c')}`);
    assert.deepEqual(await read(path), {
      ids: ['a', 'b', 'c'],
      problems: ['malformed audit.log:3', 'not_audit audit.log:5'],
    });
  });

  it('may begin in the middle of a line', async () => {
    const path = file('cut.log', `"code":200}}\n${line('a')}\n`);
    assert.deepEqual(await read(path), { ids: ['a'], problems: ['malformed cut.log:1'] });
    const opened = file('opened.log', `{"cut":\n${line('a')}\n`);
    assert.deepEqual(await read(opened), { ids: ['a'], problems: ['malformed opened.log:1'] });
  });

  it('may be one document over many lines', async () => {
    const list = {
      kind: 'EventList',
      apiVersion: 'audit.k8s.io/v1',
      items: [event({ auditID: 'a' }), {}, event({ auditID: 'b' })],
    };
    const path = file('list.json', `\n${JSON.stringify(list, null, 2)}\n`);
    assert.deepEqual(await read(path), { ids: ['a', 'b'], problems: ['no_time list.json items[1]'] });
  });

  it('leave out a line that is too long without keeping it', async () => {
    const path = file('long.log', `${line('a')}\n"${'x'.repeat(3_000_000)}"\n${line('b')}\n`);
    assert.deepEqual(await read(path, { maxBytes: 10_000 }), { ids: ['a', 'b'], problems: ['too_large long.log:2'] });
  });

  it('of a folder come in the order of their change', async () => {
    const logs = join(folder, 'logs');
    mkdirSync(join(logs, 'inner'), { recursive: true });
    for (const [name, id, seconds] of [
      ['audit.log', 'new', 300],
      ['audit-1.log', 'old', 100],
      ['audit-2.log', 'middle', 200],
      ['.hidden', 'no', 1],
    ] as const) {
      const path = file(`logs/${name}`, `${line(id)}\n`);
      utimesSync(path, seconds, seconds);
    }
    assert.deepEqual(await read(logs), { ids: ['old', 'middle', 'new'], problems: [] });
  });

  it('that are empty hold nothing', async () => {
    assert.deepEqual(await read(file('empty.log', '')), { ids: [], problems: [] });
  });

  it('that are not there are an error', async () => {
    await assert.rejects(read(join(folder, 'nothing')), { code: 'ENOENT' });
  });
});
