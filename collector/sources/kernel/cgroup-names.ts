/** As many as the kernel tells of refusals, and some more: a name is asked for while its cgroup is busy. */
const MOST = 4096;

/** Paths of cgroups by the number that the kernel knows them by: those in which something was executed lately. Of bounded size. */
export class CgroupNames {
  readonly #paths = new Map<number, string>();

  /** A process was found in a cgroup. */
  note(id: number, path: string): void {
    if (this.#paths.get(id) === path) return;
    if (this.#paths.size >= MOST) this.#paths.delete(this.#paths.keys().next().value!);
    this.#paths.set(id, path);
  }

  get(id: number): string | undefined {
    return this.#paths.get(id);
  }
}
