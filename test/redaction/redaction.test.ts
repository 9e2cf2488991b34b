import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createRedaction } from '../../collector/redaction/index.ts';
import { createRedact } from '../../collector/redaction/text.ts';
import { detection } from '../fixtures/detections.ts';

const { commandLine, prose } = createRedact([]);
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U';

/** Each with its secret between angle brackets. */
const SECRETS = [
  'app --password=<s3cret> --port 80',
  'app --password <s3cret> --port 80',
  'app --password="<two words>" x'.replace('"<two words>"', '<"two words">'),
  'app --db-password=<x> -passphrase <y>',
  'app --api-key <k> --api_key=<k2> --apikey=<k3>',
  'app --client-secret=<x> --access-token=<y> --token <z>',
  'env DB_PASSWORD=<x> AWS_SECRET_ACCESS_KEY=<y> app',
  'sh -c export TOKEN=<x>; app',
  'sh -c PGPASSWORD=<x> psql -h db',
  'curl https://host/?token=<x>&page=2',
  'curl -H Authorization: Bearer <abc.def> https://host',
  'curl -H Authorization:Basic <dXNlcjpwYXNz> https://host',
  'curl -H X-Api-Key: <x> https://host',
  'curl -u user:<x> https://host',
  'curl --user user:<x> https://host',
  'curl https://user:<x>@host/path',
  'psql postgresql://app:<p%40ss>@db:5432/app',
  'redis://:<x>@cache:6379',
  'mysql -uroot -p<x> -h db',
  'mysqldump -h db -p<x> all',
  'sshpass -p <x> ssh host',
  'redis-cli -h cache -a <x> ping',
  'curl -d {"user":"a","password":<"x">} https://host',
  `app <${JWT}>`,
  'git clone https://oauth2:<glpat-abcdefghijklmnopqrst>@host/x',
  'app <ghp_abcdefghijklmnopqrstuvwxyz0123456789>',
];

const HARMLESS = [
  'cat /etc/passwd /etc/shadow',
  'passwd root',
  'app --password-file=/run/secrets/db --token-file /run/token',
  'grep -r password: /etc',
  'docker run -u 1000:1000 image',
  'ps -u root',
  'mysql -u root -P 3306 -h db',
  'ls ~/.aws/credentials',
  'ssh-keygen -t ed25519 -f key',
  'kubectl get secrets -n payments',
  'curl https://host:8443/a@b',
  'tar -p -xf a.tar',
];

describe('secrets in command lines', () => {
  for (const text of SECRETS) {
    test(`are hidden in ${text}`, () => {
      const plain = text.replaceAll(/[<>]/g, '');
      const expected = text.replaceAll(/<[^>]*>/g, '***');
      assert.equal(commandLine(plain), expected);
      assert.equal(commandLine(expected), expected, 'again, it stays');
    });
  }

  for (const text of HARMLESS) {
    test(`are not seen in ${text}`, () => assert.equal(commandLine(text), text));
  }

  test('are hidden by patterns of the user too, whole or in their group', () => {
    const own = createRedact(['ACME-\\d+', 'pin (?<secret>\\d{4})']);
    assert.equal(own.commandLine('pay --id ACME-123 pin 4711'), 'pay --id *** pin ***');
  });

  test('take no time with texts that were made to take it', () => {
    const made = ['eyJ-', 'mysql ', 'password=\'"', 'https://:', ' --token   ', '-u a', 'bearer '];
    for (const part of made) {
      const text = part.repeat(Math.ceil(65_536 / part.length));
      assert.equal(typeof commandLine(text), 'string');
    }
  });
});

test("a rule's own words are left alone", () => {
  const text = 'Attempt to read credentials: /root/.aws/credentials (password: none) by cat';
  assert.equal(prose(text), text);
});

test('a detection has no secret in any part that shows the command line, and says where something was hidden', () => {
  const redaction = createRedaction({ command_lines: true, patterns: [] })!;
  const line = 'mysql -psesame -h db';
  const made = detection(0, {
    output: `Database client (command=${line} parent=bash)`,
    output_fields: { 'proc.cmdline': line, 'proc.pcmdline': 'bash -c mysql -psesame', 'fd.name': '/etc/token=x' },
    evidence: { 'proc.cmdline': line, 'proc.args': ['--password', 'sesame', '-h'], 'proc.name': 'mysql' },
  });
  const clean = redaction.detection(made);
  assert.equal(clean.output, 'Database client (command=mysql -p*** -h db parent=bash)');
  assert.deepEqual(clean.output_fields, {
    'proc.cmdline': 'mysql -p*** -h db',
    'proc.pcmdline': 'bash -c mysql -p***',
    'fd.name': '/etc/token=x',
  });
  assert.deepEqual(clean.evidence['proc.args'], ['--password', '***', '-h']);
  assert.deepEqual(clean.evidence['shikra.redacted'], ['proc.cmdline', 'proc.pcmdline', 'proc.args', 'output']);
  const record = toLogRecord(clean);
  assert.doesNotMatch(JSON.stringify(record), /sesame/);
  assert.deepEqual(record.attributes?.['shikra.redacted'], ['proc.cmdline', 'proc.pcmdline', 'proc.args', 'output']);
  assert.equal(made.output_fields['proc.cmdline'], line, 'what it was made of stays as it is');
  const harmless = detection();
  assert.equal(redaction.detection(harmless), harmless);
});

test('every field that has the arguments of a call is looked through', () => {
  // `evt.info` is another name for `evt.args`, and was forgotten.
  const redaction = createRedaction({ command_lines: true, patterns: [] })!;
  const fields = { 'evt.args': 'x', 'evt.info': 'x', 'evt.arg.args': 'x', 'evt.rawarg[2]': 'x' };
  const secret = Object.fromEntries(Object.keys(fields).map((name) => [name, 'res=0 args=-h db --password=s3cret']));
  const { output_fields } = redaction.detection(detection(0, { output_fields: secret }));
  for (const value of Object.values(output_fields)) assert.equal(value, 'res=0 args=-h db --password=***');
});

test('a record of another agent, which hid nothing, is treated the same', () => {
  const redaction = createRedaction({ command_lines: true, patterns: [] })!;
  const origin = { key: '', resource: {} as never, scope: { name: 'x', version: undefined, schemaUrl: undefined } };
  const record = {
    body: 'Client (command=mysql -psesame)',
    attributes: { 'process.command_line': 'mysql -psesame', 'process.pid': 1 },
  };
  const clean = redaction.foreign({ record, origin }).record;
  assert.equal(clean.body, 'Client (command=mysql -p***)');
  assert.deepEqual(clean.attributes, {
    'process.command_line': 'mysql -p***',
    'process.pid': 1,
    'shikra.redacted': ['process.command_line', 'body'],
  });
  const harmless = { body: 'x', attributes: { 'process.command_line': 'ls' } };
  assert.equal(redaction.foreign({ record: harmless, origin }).record, harmless);
});

test('switched off, it is not there', () => {
  assert.equal(createRedaction({ command_lines: false, patterns: [] }), undefined);
});
