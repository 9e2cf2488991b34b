import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from './agent.ts';

const COUNT = 10;
const NAME = /^Rule \d{4}$/;

/** Files that are watched, each by a rule of its own: `Rule 0001` and so on. */
export class MarkedFiles {
  /** Keys of `receivers.kernel`. */
  readonly kernel: object;
  readonly #paths: readonly string[];
  #opened = 0;

  constructor(folder: string) {
    const numbers = Array.from({ length: COUNT }, (_, index) => String(index + 1).padStart(4, '0'));
    this.#paths = numbers.map((number) => join(folder, `marked-${number}`));
    for (const path of this.#paths) writeFileSync(path, '');
    const rules = numbers.map((number, index) => ({
      rule: `Rule ${number}`,
      desc: 'A test.',
      condition: `evt.type in (open, openat, openat2) and fd.name = ${this.#paths[index]}`,
      output: 'opened %fd.name by %proc.pid',
      priority: 'WARNING',
    }));
    const file = join(folder, 'marked.yaml');
    writeFileSync(file, JSON.stringify(rules));
    this.kernel = { rules_files: [file] };
  }

  /** What the agent has detected of them; others may do something on this machine that it tells of. */
  detections(agent: Agent): Agent['detections'] {
    return agent.detections.filter(({ rule }) => NAME.test(rule));
  }

  /** Opens so many, one after the other, and waits until as many more are detected. */
  async detect(agent: Agent, count: number): Promise<void> {
    const wanted = this.#opened + count;
    for (; this.#opened < wanted; this.#opened++) readFileSync(this.#paths[this.#opened % COUNT]!);
    await agent.until('the detections', () => this.detections(agent).length >= wanted);
  }
}
