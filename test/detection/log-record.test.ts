import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { LIMITS } from '../../collector/detection/limits.ts';
import { detectionIn, toLogRecord } from '../../collector/detection/log-record.ts';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { detection } from '../fixtures/detections.ts';

const attributesOf = (evidence: Detection['evidence'], changes: Partial<Detection> = {}) =>
  toLogRecord(detection(0, { evidence, output_fields: {}, ...changes })).attributes as Record<string, unknown>;

it('makes the whole record of a detection', () => {
  const one = detection(7);
  const record = toLogRecord(one);
  const { attributes, context, ...rest } = record;
  assert.deepEqual(rest, {
    eventName: 'shikra.detection',
    timestamp: [1_795_000_000, 123_456_796],
    observedTimestamp: [1_795_000_000, 124_456_796],
    severityNumber: 13,
    severityText: 'WARN',
    body: one.output,
  });
  assert.equal(detectionIn(context), one);
  assert.deepEqual(attributes, {
    'log.record.uid': one.uuid,
    'shikra.priority': 'warning',
    'shikra.event.source': 'syscall',
    'security_rule.name': 'Read sensitive file untrusted',
    'security_rule.uuid': attributes?.['security_rule.uuid'],
    'security_rule.ruleset.name': 'shikra_rules',
    'security_rule.description': 'An attempt to read a sensitive file.',
    'security_rule.category': 'filesystem',
    'shikra.rule.tags': ['filesystem', 'mitre_credential_access', 'T1555'],
    'shikra.threat.technique.ids': ['T1555'],
    'shikra.threat.tactic.names': ['credential_access'],
    'shikra.event.type': 'openat',
    'shikra.event.number': '9007199254740993',
    'shikra.event.result': 'SUCCESS',
    'process.executable.path': '/usr/bin/cat',
    'process.command_line': 'cat /etc/shadow',
    'shikra.process.comm': 'cat',
    'process.pid': 4007,
    'shikra.process.tty': 34817,
    'shikra.process.ancestors': ['bash', 'sshd'],
    'process.user.id': 0,
    'process.executable.name': 'cat',
    'process.interactive': true,
    'shikra.fd.type': 'file',
    'file.path': '/etc/shadow',
    'file.directory': '/etc',
    'file.name': 'shadow',
  });
  assert.match(
    String(attributes?.['security_rule.uuid']),
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

it('gives the same detection the same record every time', () => {
  const one = detection(3);
  const copy = structuredClone(one);
  assert.deepEqual(toLogRecord(one).attributes, toLogRecord(copy).attributes);
});

it('maps every priority', () => {
  const seen = PRIORITIES.map((priority) => {
    const { severityNumber, severityText, attributes } = toLogRecord(detection(0, { priority }));
    return [attributes?.['shikra.priority'], severityNumber, severityText];
  });
  assert.deepEqual(seen, [
    ['emergency', 21, 'FATAL'],
    ['alert', 19, 'ERROR'],
    ['critical', 18, 'ERROR'],
    ['error', 17, 'ERROR'],
    ['warning', 13, 'WARN'],
    ['notice', 10, 'INFO'],
    ['informational', 9, 'INFO'],
    ['debug', 5, 'DEBUG'],
  ]);
});

describe('attributes', () => {
  it('puts a socket under client, server and network, and its tuple not under file', () => {
    const found = attributesOf({
      'fd.type': 'ipv4',
      'fd.l4proto': 'tcp',
      'fd.name': '10.0.0.1:4000->1.2.3.4:443',
      'fd.cip': '10.0.0.1',
      'fd.cport': 4000,
      'fd.sip': '1.2.3.4',
      'fd.sport': 443,
      'fd.lip': '10.0.0.1',
      'fd.rip': '1.2.3.4',
    });
    assert.equal(found['client.address'], '10.0.0.1');
    assert.equal(found['client.port'], 4000);
    assert.equal(found['server.address'], '1.2.3.4');
    assert.equal(found['server.port'], 443);
    assert.equal(found['network.peer.address'], '1.2.3.4');
    assert.equal(found['network.local.address'], '10.0.0.1');
    assert.equal(found['network.transport'], 'tcp');
    assert.equal(found['network.type'], 'ipv4');
    assert.equal(found['shikra.fd.name'], '10.0.0.1:4000->1.2.3.4:443');
    assert.equal(found['file.path'], undefined);
  });

  it('describes a container, with lists where the conventions have lists', () => {
    const found = attributesOf({
      'container.id': '0123456789ab',
      'container.full_id': 'f'.repeat(64),
      'container.name': 'web',
      'container.type': 'containerd',
      'container.image.repository': 'docker.io/library/nginx',
      'container.image.tag': '1.27',
      'container.image.digest': 'sha256:abc',
      'container.privileged': true,
      'k8s.ns.name': 'prod',
      'k8s.pod.name': 'web-1',
      'k8s.pod.uid': 'u',
    });
    assert.equal(found['container.id'], 'f'.repeat(64));
    assert.equal(found['container.runtime.name'], 'containerd');
    assert.deepEqual(found['container.image.tags'], ['1.27']);
    assert.deepEqual(found['container.image.repo_digests'], ['docker.io/library/nginx@sha256:abc']);
    assert.equal(found['shikra.container.privileged'], true);
    assert.equal(found['k8s.namespace.name'], 'prod');
    assert.equal(found['k8s.pod.name'], 'web-1');
  });

  it('leaves out the host as a container, an unset login and missing values', () => {
    const found = attributesOf(
      { 'container.id': 'host', 'container.name': 'host', 'container.type': 'host', 'user.loginuid': -1 },
      { output_fields: { 'fd.name': null, 'proc.pname': '<NA>', 'container.image.tag': null } },
    );
    for (const name of [
      'container.id',
      'container.name',
      'container.runtime.name',
      'shikra.user.login.id',
      'file.path',
      'shikra.process.parent.name',
      'container.image.tags',
    ]) {
      assert.ok(!(name in found), name);
    }
    assert.equal(attributesOf({ 'user.loginuid': 4294967295 })['shikra.user.login.id'], undefined);
  });

  it('sends 64-bit numbers as text, and the error of a call as error.type', () => {
    const found = attributesOf({
      'proc.exe_ino': 18446744073709551615n,
      'evt.res': 'EACCES',
      'evt.arg.flags': 'O_RDONLY',
    });
    assert.equal(found['shikra.process.exe_inode'], '18446744073709551615');
    assert.equal(found['error.type'], 'EACCES');
    assert.equal(found['shikra.event.arg.flags'], 'O_RDONLY');
  });

  it('keeps every field that the output names, also one without a convention', () => {
    const found = attributesOf(
      {},
      {
        source: 'k8s_audit',
        output_fields: {
          'ka.verb': 'create',
          'ka.uri.param[command]': 'sh',
          'proc.aname[2]': 'init',
          'proc.pname': 'sh',
        },
      },
    );
    assert.equal(found['shikra.k8s.audit.verb'], 'create');
    assert.equal(found['shikra.k8s.audit.uri.param.command'], 'sh');
    assert.deepEqual(found['shikra.process.ancestors'], ['sh', 'init']);
  });

  it('takes a path without a descriptor for a file, and only an absolute one', () => {
    assert.equal(attributesOf({ 'fs.path.name': '/tmp/a.tar.gz' })['file.extension'], 'gz');
    assert.equal(
      attributesOf({ 'fs.path.name': '/tmp/a', 'fs.path.target': '/b', 'evt.type': 'symlinkat' })[
        'file.symbolic_link.target_path'
      ],
      '/b',
    );
    assert.equal(attributesOf({ 'fd.name': 'eventfd' })['file.path'], undefined);
  });
});

describe('limits', () => {
  it('cuts long values and a long body at a character, and names what was cut', () => {
    const record = toLogRecord(
      detection(0, { output: 'ü'.repeat(20_000), evidence: { 'proc.cmdline': `a${'€'.repeat(3000)}`, 'proc.pid': 1 } }),
    );
    const commandLine = String(record.attributes?.['process.command_line']);
    assert.equal(Buffer.byteLength(commandLine), 4096);
    assert.match(commandLine, /^a€+$/);
    assert.equal(Buffer.byteLength(String(record.body)), LIMITS.bodyBytes);
    assert.deepEqual(record.attributes?.['shikra.truncated'], ['body', 'process.command_line']);
  });

  it('keeps at most 100 attributes, those of the conventions first', () => {
    const evidence = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`custom.f${index}`, index]));
    const attributes = toLogRecord(detection(0, { evidence: { ...evidence, 'proc.pid': 5 } })).attributes as Record<
      string,
      unknown
    >;
    assert.equal(Object.keys(attributes).length, 100);
    assert.equal(attributes['process.pid'], 5);
    assert.ok((attributes['shikra.truncated'] as string[]).includes('shikra.field.custom.f199'));
  });

  it('keeps all attributes together below 48 KiB', () => {
    const evidence = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`custom.f${index}`, 'x'.repeat(4000)]),
    );
    const attributes = toLogRecord(detection(0, { evidence })).attributes as Record<string, unknown>;
    assert.ok(JSON.stringify(attributes).length < 56 * 1024);
    assert.ok((attributes['shikra.truncated'] as string[]).length > 40);
  });
});
