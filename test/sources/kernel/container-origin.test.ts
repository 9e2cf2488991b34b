/** Which container a process counts to, along its executions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ContainerTable } from '../../../collector/event/container-table.ts';
import { NO_IMAGE } from '../../../collector/sources/kernel/image.ts';
import { descend, type Process, succeed, unknownProcess } from '../../../collector/sources/kernel/process.ts';

const ID = 'c'.repeat(64);
const HOST = '/system.slice/docker.service';
const INSIDE = `/docker/${ID}`;
/** Only containerd can say whether this is a container. */
const UNDECIDED = '/somewhere/something';
const [HOST_MOUNTS, OWN_MOUNTS] = [1, 2];

/** What a process executes: in which cgroup, with which mounts, and how many executions it is after the last that was heard of. */
type Execution = readonly [cgroup: string, mntNamespace: number, executions?: number];

function arrange(hasEngines = false) {
  const containers = new ContainerTable({ hasEngines, onWanted: () => {}, onDecided: () => {} });
  const begin = (cgroup: string, mntNamespace: number): Process => {
    const container = containers.of(cgroup);
    const image = { ...NO_IMAGE, cgroup, container };
    return { ...unknownProcess(7, 1e9, 1), known: true, image, mntNamespace, origin: container };
  };
  const execute = (before: Process | undefined, [cgroup, mntNamespace, executions = 1]: Execution): Process => {
    const process = begin(cgroup, mntNamespace);
    process.execId = (before?.execId ?? 0) + executions;
    succeed(process, before);
    return process;
  };
  const run = (...executions: readonly Execution[]): Process =>
    executions.reduce<Process | undefined>(execute, undefined)!;
  return { containers, begin, execute, run };
}

const told = ({ image, origin }: Process) => ({ container: image.container.id, isHostProgram: origin.isHost });

/** Lets an engine say whether this is a container, which was open until then. */
function isWhatTheEngineSays(process: Process, containers: ContainerTable, isContainer: boolean): void {
  const { container } = process.image;
  assert.equal(container.isDecided, false);
  if (isContainer) container.confirm();
  containers.settle(container, 'unknown');
  const id = isContainer ? container.request.id : 'host';
  assert.deepEqual(told(process), { container: id, isHostProgram: !isContainer });
}

describe('a process', () => {
  it('of the host stays the host’s', () => {
    const { run } = arrange();
    assert.deepEqual(told(run([HOST, HOST_MOUNTS], [HOST, OWN_MOUNTS])), { container: 'host', isHostProgram: true });
  });

  it('is a runtime in a container’s cgroup until it executes something with other mounts', () => {
    const { run } = arrange();
    assert.deepEqual(told(run([HOST, HOST_MOUNTS], [INSIDE, HOST_MOUNTS])), { container: ID, isHostProgram: true });
    const entered = run([HOST, HOST_MOUNTS], [INSIDE, HOST_MOUNTS], [INSIDE, OWN_MOUNTS]);
    assert.deepEqual(told(entered), { container: ID, isHostProgram: false });
  });

  it('is no runtime if an execution between was not heard of: it may have been in the container', () => {
    const { run } = arrange();
    assert.deepEqual(told(run([HOST, HOST_MOUNTS], [INSIDE, HOST_MOUNTS, 2])), { container: ID, isHostProgram: false });
  });

  it('that was found in a container is of it', () => {
    const { run } = arrange();
    assert.deepEqual(told(run([INSIDE, HOST_MOUNTS])), { container: ID, isHostProgram: false });
  });

  it('of a container stays its own, whatever cgroup and mounts of the host it gets into, also by executions that were not heard of', () => {
    const { run } = arrange();
    for (const mounts of [OWN_MOUNTS, HOST_MOUNTS])
      for (const executions of [1, 3]) {
        const escaped = run([INSIDE, OWN_MOUNTS], [HOST, mounts, executions], [HOST, mounts]);
        assert.deepEqual(told(escaped), { container: ID, isHostProgram: false });
      }
  });

  it('of a container that runs containers is of the inner one there', () => {
    const { run } = arrange();
    const inner = 'd'.repeat(64);
    const process = run([INSIDE, OWN_MOUNTS], [`${INSIDE}/docker/${inner}`, OWN_MOUNTS]);
    assert.deepEqual(told(process), { container: inner, isHostProgram: false });
  });

  it('of which nothing is known but that it is there counts to where it is', () => {
    const { execute } = arrange();
    assert.equal(told(execute(unknownProcess(7, 1e9, 1), [INSIDE, OWN_MOUNTS])).container, ID);
    assert.equal(told(execute(unknownProcess(7, 1e9, 1), [HOST, OWN_MOUNTS])).container, 'host');
  });

  it('in a cgroup that only an engine can tell from a container’s is what the engine says, also where it has left it', () => {
    for (const isContainer of [true, false]) {
      const { containers, run } = arrange(true);
      const left = run([UNDECIDED, OWN_MOUNTS], [HOST, HOST_MOUNTS]);
      isWhatTheEngineSays(left, containers, isContainer);
    }
  });

  it('of a container that gets into such a cgroup is not the host’s if the engine knows nothing of that', () => {
    const { containers, run } = arrange(true);
    const left = run([INSIDE, OWN_MOUNTS], [UNDECIDED, OWN_MOUNTS]);
    containers.settle(containers.of(UNDECIDED), 'unknown');
    assert.deepEqual(told(left), { container: ID, isHostProgram: false });
  });
});

describe('a process whose birth was not seen', () => {
  /** Of the last of a line of parents and children, each found where it is. */
  const found = (line: readonly Execution[], execute = arrange().execute): Process =>
    line.reduce<Process | undefined>((parent, place) => {
      const process = execute(undefined, place);
      descend(process, parent);
      return process;
    }, undefined)!;

  it('of the host stays the host’s', () => {
    const line = [[HOST, HOST_MOUNTS] as const, [HOST, OWN_MOUNTS] as const];
    assert.deepEqual(told(found(line)), { container: 'host', isHostProgram: true });
  });

  it('in a cgroup of the host counts to the container that its ancestors are in, over any number that left it', () => {
    for (const left of [1, 2, 5]) {
      const line = [[HOST, HOST_MOUNTS] as const, [INSIDE, OWN_MOUNTS] as const];
      const escaped = found([...line, ...Array<Execution>(left).fill([HOST, HOST_MOUNTS])]);
      assert.deepEqual(told(escaped), { container: ID, isHostProgram: false });
    }
  });

  it('in a container counts to that one, whoever started it', () => {
    const inner = 'd'.repeat(64);
    for (const parent of [HOST, `/docker/${inner}`]) {
      const process = found([
        [parent, HOST_MOUNTS],
        [INSIDE, OWN_MOUNTS],
      ]);
      assert.deepEqual(told(process), { container: ID, isHostProgram: false });
    }
  });

  it('is not of the container that a runtime which started it has entered', () => {
    const { execute, run } = arrange();
    const child = execute(undefined, [HOST, HOST_MOUNTS]);
    descend(child, run([HOST, HOST_MOUNTS], [INSIDE, HOST_MOUNTS]));
    assert.deepEqual(told(child), { container: 'host', isHostProgram: true });
  });

  it('stays where it is if nothing is known of its parent', () => {
    const { execute } = arrange();
    for (const parent of [undefined, unknownProcess(6, 1e9, 1)]) {
      const process = execute(undefined, [HOST, HOST_MOUNTS]);
      descend(process, parent);
      assert.deepEqual(told(process), { container: 'host', isHostProgram: true });
    }
  });

  it('below a cgroup that only an engine can tell from a container’s is what the engine says of that', () => {
    for (const isContainer of [true, false]) {
      const { containers, execute } = arrange(true);
      const escaped = found([[UNDECIDED, OWN_MOUNTS] as const, [HOST, HOST_MOUNTS] as const], execute);
      isWhatTheEngineSays(escaped, containers, isContainer);
    }
  });
});
