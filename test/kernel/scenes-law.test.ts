/** What is collected and not looked at on a real kernel may be anything: here it is seen that nothing is left out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KernelFields } from '../../collector/sources/kernel/fields/index.ts';
import { COLLECTED_EVENT_TYPES } from '../../collector/sources/kernel/system-calls.ts';
import { FIELDS, findField } from '../../rules/index.ts';
import { BY_DOCKER, byCri, TOLD_OTHERWISE } from '../containers/told.ts';
import { OF_EVERY_EVENT, SCENES } from './scenes/index.ts';
import { PROCESS_FIELDS, PROCESS_TIMES } from './scenes/processes.ts';

/** Fields that the rules of Falco's project use; those of audit events are none of the kernel's. */
const USED_BY_FALCO = `
  evt.arg evt.args evt.buffer evt.is_open_exec evt.is_open_read evt.is_open_write evt.num evt.rawres evt.res evt.type
  proc.aexe proc.aexepath proc.aname proc.args proc.cmdline proc.cwd proc.duration proc.env proc.exe proc.exe_ino.ctime
  proc.exe_ino.ctime_duration_proc_start proc.exe_ino.mtime proc.exepath proc.is_exe_from_memfd proc.is_exe_upper_layer
  proc.is_vpgid_leader proc.name proc.pcmdline proc.pexe proc.pexepath proc.pname proc.sname proc.tty proc.vpid
  thread.cap_effective thread.cap_permitted
  fd.cip fd.cip.name fd.cnet fd.connected fd.directory fd.filename fd.ip fd.l4proto fd.lip.name fd.lport fd.name fd.name_changed
  fd.nameraw fd.net fd.num fd.port fd.rip fd.rip.name fd.rnet fd.rport fd.sip fd.sip.name fd.snet fd.sockfamily fd.sport fd.type
  fd.typechar
  user.loginname user.loginuid user.name user.uid group.gid group.name
  container.id container.image.repository container.mount.dest container.mounts container.privileged container.start_ts
  k8s.ns.name k8s.pod.name`
  .trim()
  .split(/\s+/);

/** Collected, and not to be had of the engines that tests can run. */
const NOT_TRIED: Readonly<Record<string, string>> = {
  'container.ip': 'the engines of the tests make no networks; test/containers/table.test.ts has made-up answers',
  'container.cni.json': 'the same',
  'k8s.pod.ip': 'the same',
  'k8s.pod.cni.json': 'the same',
};

const resolver = new KernelFields({} as ConstructorParameters<typeof KernelFields>[0]);

function isCollected(name: string): boolean {
  // one that needs an argument has no value with none; any will do
  const argument = FIELDS.get(name)!.argument === 'required' ? 'path' : undefined;
  const reference = argument === undefined ? { name } : { name, argument };
  return COLLECTED_EVENT_TYPES.some((type) => resolver.getter(reference, type) !== undefined);
}

const collected = [...FIELDS.keys()].filter(isCollected);

/** Names of a table's fields that are expected to have a value. */
function looked(table: Readonly<Record<string, unknown>>): string[] {
  const names = Object.keys(table).filter((name) => table[name] !== undefined && table[name] !== null);
  return names.map((text) => {
    const [, name, argument] = /^([^[]+)(?:\[(.*)\])?$/.exec(text)!;
    return findField(name!, argument)!.reference.name;
  });
}

const pod = { name: 'pod', namespace: 'namespace', uid: 'uid', sandboxId: 'sandbox' };
const seen = new Set([
  ...SCENES.flatMap(({ fields }) => looked(fields)),
  ...looked(OF_EVERY_EVENT),
  ...looked(PROCESS_FIELDS),
  ...looked(PROCESS_TIMES),
  ...looked(BY_DOCKER),
  ...looked(byCri('id', pod)),
  ...TOLD_OTHERWISE,
]);

describe('what is collected is looked at on a real kernel', () => {
  it('every event type, with all its arguments', () => {
    const types = SCENES.filter(({ fields }) => 'evt.args' in fields).map(({ type }) => type);
    assert.deepEqual([...COLLECTED_EVENT_TYPES].sort(), [...new Set(types)].sort());
  });

  it('every field that Falco’s rules use is collected', () => {
    assert.equal(USED_BY_FALCO.length, 77);
    assert.deepEqual(
      USED_BY_FALCO.filter((name) => !collected.includes(name)),
      [],
    );
  });

  it('every field that is collected', () => {
    const missing = collected.filter((name) => !seen.has(name));
    assert.deepEqual(missing.sort(), Object.keys(NOT_TRIED).sort());
  });
});
