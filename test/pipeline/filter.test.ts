import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { createFilter, describeFilter, filterSchema } from '../../collector/pipeline/filter.ts';
import { detection } from '../fixtures/detections.ts';

function passes(filter: object, changes: Partial<Detection> = {}): boolean {
  const test = createFilter(filterSchema.parse(filter));
  return test === undefined || test(detection(0, changes));
}

const CASES: readonly (readonly [filter: object, expected: boolean])[] = [
  [{}, true],
  [{ min_priority: 'warning' }, true],
  [{ min_priority: 'ERROR' }, false],
  [{ min_priority: 'info' }, true],
  [{ sources: ['k8s_audit', 'syscall'] }, true],
  [{ sources: ['k8s_audit'] }, false],
  [{ rules: ['Read sensitive file untrusted'] }, true],
  [{ rules: ['Read * untrusted', 'Other'] }, true],
  [{ rules: ['Read'] }, false],
  [{ rules: ['Read.*'] }, false],
  [{ tags: ['network', 'T1555'] }, true],
  [{ tags: ['network'] }, false],
  [{ condition: 'proc.name = cat' }, true],
  [{ condition: 'proc.name in (bash, sh)' }, false],
  [{ condition: 'evt.type = openat and fd.name startswith /etc' }, true],
  [{ condition: 'evt.type = execve' }, false],
  [{ condition: 'proc.aname[2] = sshd' }, true],
  [{ condition: 'proc.aname in (sshd)' }, true],
  [{ condition: 'proc.pid > 3999 and evt.num = 9007199254740993' }, true],
  [{ condition: 'k8s.ns.name = payments' }, false],
  [{ condition: 'not k8s.ns.name = payments' }, true],
  [{ condition: 'evt.source = syscall and evt.hostname = node-1' }, true],
  [{ min_priority: 'Warning', tags: ['T1555'], condition: 'proc.name = cat' }, true],
  [{ min_priority: 'Warning', tags: ['T1555'], condition: 'proc.name = dog' }, false],
];

for (const [filter, expected] of CASES) {
  it(`${expected ? 'lets pass' : 'holds back'} with ${JSON.stringify(filter)}`, () => {
    assert.equal(passes(filter), expected);
  });
}

it('evaluates a condition on detections without an event type, and on types that rules do not know', () => {
  const internal = { source: 'internal', evidence: {}, output_fields: { 'proc.name': 'cat' } };
  assert.equal(passes({ condition: 'proc.name = cat' }, internal), true);
  assert.equal(passes({ condition: 'evt.type = openat' }, internal), false);
  assert.equal(passes({ condition: 'proc.name = cat' }, { evidence: { 'evt.type': 'of-another-agent' } }), false);
});

it('refuses what it cannot understand, and says what could stand there', () => {
  const messages = (filter: object) => filterSchema.safeParse(filter).error?.issues.map(({ message }) => message);
  assert.deepEqual(messages({ min_priority: 'Sever' }), [
    'expected one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug',
  ]);
  assert.match(messages({ condition: 'proc.nmae = cat' })?.[0] ?? '', /proc\.nmae.*did you mean proc\.name/);
  assert.match(messages({ condition: 'proc.name =' })?.[0] ?? '', /expected/);
  assert.match(messages({ condition: 'spawned_process and proc.name = sh' })?.[0] ?? '', /spawned_process/);
});

it('describes itself in a line', () => {
  const filter = filterSchema.parse({ min_priority: 'critical', tags: ['a', 'b'], condition: 'proc.name = sh' });
  assert.equal(describeFilter(filter), 'Critical or worse; tags a, b; proc.name = sh');
  assert.equal(describeFilter(filterSchema.parse({})), '');
});
