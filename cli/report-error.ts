import { ShikraError } from '../collector/errors.ts';

/** Tells the user what went wrong. @returns the exit code */
export function reportError(error: unknown): number {
  if (error instanceof ShikraError) {
    console.error(`shikra: ${error.message}\n  remedy: ${error.remedy} [${error.code}]`);
    return error.exitCode;
  }
  // A defect: the stack is what its report needs.
  console.error('shikra: internal error; please report it with the lines below');
  console.error(error);
  return 1;
}
