import { type Problem, type ProblemCode, type ProblemDetails, problemAt } from './problem.ts';
import type { Place } from './source.ts';

/** More than a person reads at once; what a broken file could bring without end stops here. */
const MOST_PROBLEMS = 200;

/** Collects the problems of a load, up to a limit that it names. */
export class ProblemList {
  readonly #problems: Problem[] = [];
  #dropped = 0;

  add(code: ProblemCode, message: string, place: Place, details: ProblemDetails = {}): void {
    this.push(problemAt(code, message, place, details));
  }

  /** Something that keeps the file, or the part at the place, from being used. */
  error(
    code: 'LOAD_ERR_YAML_VALIDATE' | 'LOAD_ERR_VALIDATE',
    message: string,
    place: Place,
    expected?: string,
    rule?: string,
  ): void {
    this.add(code, message, place, { expected, rule });
  }

  push(problem: Problem): void {
    // An error must not be lost behind warnings: a load without an error is taken for good.
    if (this.#problems.length < MOST_PROBLEMS || (problem.severity === 'error' && !this.#hasErrors())) {
      this.#problems.push(problem);
    } else this.#dropped++;
  }

  /** All problems in the order of files and lines. */
  sorted(): Problem[] {
    const fileOrder = new Map<string, number>();
    for (const { file } of this.#problems) if (!fileOrder.has(file)) fileOrder.set(file, fileOrder.size);
    const sorted = this.#problems.toSorted(
      (a, b) => fileOrder.get(a.file)! - fileOrder.get(b.file)! || a.line - b.line || a.column - b.column,
    );
    const last = sorted.at(-1);
    if (this.#dropped > 0 && last !== undefined) sorted.push(moreProblems(this.#dropped, last));
    return sorted;
  }

  #hasErrors(): boolean {
    return this.#problems.some(({ severity }) => severity === 'error');
  }
}

function moreProblems(count: number, last: Problem): Problem {
  const { file, line, column, endColumn } = last;
  const severity = last.severity;
  return {
    code: 'LOAD_TOO_MANY_PROBLEMS',
    severity,
    message: `${count} more problems are not shown`,
    file,
    line,
    column,
    endColumn,
  };
}
