import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { timestampNanos } from '../../../collector/detection/timestamp.ts';
import { AuditParser } from '../../../collector/sources/k8s-audit/index.ts';
import { DENIED, EXEC, event, SECRET_GET } from './events.ts';
import { fieldOf, parsed } from './read.ts';

/** Items of a list as the webhook gets them: they do not say what they are. */
const { kind: _kind, apiVersion: _apiVersion, ...ITEM } = SECRET_GET;
const LIST = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {} };

const TEXTS: readonly (readonly [title: string, text: string, events: number, problems: string[]])[] = [
  ['an event', JSON.stringify(SECRET_GET), 1, []],
  ['a list of events', JSON.stringify({ ...LIST, items: [ITEM, SECRET_GET] }), 2, []],
  ['an empty list', JSON.stringify({ ...LIST, items: null }), 0, []],
  ['an array', JSON.stringify([EXEC, { ...LIST, items: [ITEM] }, [DENIED]]), 3, []],
  ['an older version', JSON.stringify({ ...SECRET_GET, apiVersion: 'audit.k8s.io/v1beta1' }), 1, []],
  ['blanks around', `\n ${JSON.stringify(SECRET_GET)}\r\n`, 1, []],
  [
    'a list with bad items between good ones',
    JSON.stringify({
      ...LIST,
      items: [ITEM, 3, null, [], { ...ITEM, stageTimestamp: 'now', requestReceivedTimestamp: 1 }, ITEM],
    }),
    2,
    [
      'not_audit items[1]: expected an audit event, got a number',
      'not_audit items[2]: expected an audit event, got null',
      'not_audit items[3]: expected an audit event, got a list',
      'no_time items[4]: expected an RFC 3339 time in stageTimestamp or requestReceivedTimestamp, got "now"',
    ],
  ],
  [
    'an array with bad items',
    JSON.stringify([{ ...LIST, items: {} }, { kind: 'Event', apiVersion: 'v1', reason: 'Pulled' }, 'x', SECRET_GET]),
    1,
    [
      'not_audit [0].items: expected a list of events, got an object',
      'not_audit [1]: expected apiVersion audit.k8s.io/v1, got "v1": an event of the cluster, not of its audit log',
      'not_audit [2]: expected an audit event, got a string',
    ],
  ],
  ['another kind', '{"kind":"Pod"}', 0, ['not_audit : expected kind Event or EventList, got "Pod"']],
  ['no kind', '{}', 0, ['not_audit : expected kind Event or EventList, got none']],
  ['a number', '7', 0, ['not_audit : expected an audit event, got a number']],
  ['half a JSON', '{"kind":', 0, ['malformed : no JSON: Unexpected end of JSON input']],
  [
    'no time',
    '{"kind":"Event"}',
    0,
    ['no_time : expected an RFC 3339 time in stageTimestamp or requestReceivedTimestamp, got neither'],
  ],
];

describe('reading audit events', () => {
  for (const [title, text, count, problems] of TEXTS) {
    it(`takes what is an event out of ${title}`, () => {
      const found = new AuditParser().parse(text);
      assert.equal(found.events.length, count);
      assert.deepEqual(
        found.problems.map(({ reason, place, message }) => `${reason} ${place}: ${message}`),
        problems,
      );
      assert.equal(found.rejected, problems.length);
    });
  }

  it('counts on from text to text, and says where a text stood', () => {
    const parser = new AuditParser();
    assert.equal(parser.parse(JSON.stringify([EXEC, DENIED])).events[1]!.number, 2);
    assert.equal(parser.parse(JSON.stringify(EXEC)).events[0]!.number, 3);
    assert.equal(parser.parse('[7]', 'audit.log:4').problems[0]!.place, 'audit.log:4 [0]');
    assert.equal(parser.stats.accepted, 3);
    assert.equal(parser.stats.rejected.not_audit, 1);
  });

  it('takes the time of arrival where that of the stage is missing', () => {
    const { timeNs } = parsed({ ...SECRET_GET, stageTimestamp: null });
    assert.equal(timeNs, 1795298400100000000n);
  });

  it('refuses a text that is too large, and counts it', () => {
    const parser = new AuditParser({ maxBytes: 1000 });
    const { events, problems } = parser.parse(JSON.stringify({ ...EXEC, note: 'é'.repeat(500) }));
    assert.deepEqual(events, []);
    assert.deepEqual(problems, [{ reason: 'too_large', place: '', message: 'more than 1000 bytes' }]);
    assert.equal(parser.stats.rejected.too_large, 1);
  });

  it('survives nesting without an end', () => {
    const parser = new AuditParser();
    const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    const good = JSON.stringify(SECRET_GET).slice(0, -1);
    assert.equal(parser.parse(`${good},"deep":${deep(198)}}`).events.length, 1);
    for (const levels of [201, 100_000]) {
      const { events, problems } = parser.parse(`${good},"deep":${deep(levels)}}`);
      assert.deepEqual(events, []);
      assert.equal(problems[0]!.reason, 'too_deep');
    }
    assert.equal(parser.parse('['.repeat(100_000) + ']'.repeat(100_000)).problems[0]!.reason, 'too_deep');
  });

  it('describes the first of many bad items and counts all', () => {
    const parser = new AuditParser();
    const { problems, rejected } = parser.parse(JSON.stringify(Array(50_000).fill(0)));
    assert.equal(problems.length, 20);
    assert.equal(rejected, 50_000);
    assert.equal(parser.stats.rejected.not_audit, 50_000);
  });

  it('reads a body of ten megabytes', () => {
    const body = JSON.stringify({ ...LIST, items: Array(9000).fill({ ...ITEM, note: 'x'.repeat(300) }) });
    assert.equal(new AuditParser().parse(body).events.length, 9000);
  });

  it('shows an event whose indentation would not fit into memory without any', () => {
    const text = `${'['.repeat(190)}${Array(1_500_000).fill(1).join(',')}${']'.repeat(190)}`;
    const deep = parsed(event({ deep: JSON.parse(text) }));
    assert.match(String(fieldOf(deep, 'jevt.obj')), /^\{"kind":"Event"/);
  });
});

describe('times of audit events', () => {
  const TIMES: readonly (readonly [string | null, bigint | undefined])[] = [
    ['1970-01-01T00:00:00Z', 0n],
    ['2026-11-21T22:00:00.123456Z', 1795298400123456000n],
    ['2026-11-21T22:00:00.1234567899Z', 1795298400123456789n],
    ['2026-11-21T22:00:00+01:00', 1795294800000000000n],
    ['2026-11-21T22:00:00.5-00:30', 1795300200500000000n],
    ['2026-11-21t22:00:00z', 1795298400000000000n],
    ['0001-01-01T00:00:00Z', undefined],
    ['2026-13-01T00:00:00Z', undefined],
    ['2026-11-21T22:00:00', undefined],
    ['2026-11-21 22:00:00Z', undefined],
    ['', undefined],
    [null, undefined],
  ];
  for (const [text, nanos] of TIMES) {
    it(`read ${text}`, () => assert.equal(timestampNanos(text), nanos));
  }
});
