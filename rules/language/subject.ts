import type { FieldReference } from '../fields/catalogue.ts';
import type { TypedCheck } from './typed.ts';

/**
 * Something that many events share, such as a path or a program. Checks that ask for nothing but its fields have one answer for it,
 * whatever the event: they are decided once, and the answer is kept with it.
 */
export interface Subject<E> {
  /**
   * True if the field's value follows from the subject alone, for events of the type.
   * @param check if given, it is enough that what this check asks of the field does
   */
  covers(field: FieldReference, eventType: string, check?: TypedCheck): boolean;
  /** The answers kept with the event's subject; undefined if it has none, or none that comes again. */
  verdicts(event: E): Verdicts | undefined;
}

/** The answers about one subject, for every evaluator of a rule set; those of a set that was replaced are forgotten. */
export class Verdicts {
  #generation = -1;
  #byEvaluator: Int32Array[] = [];

  /**
   * @param generation of the rule set
   * @param evaluator its number in the set
   * @param words length of the array
   * @returns bit masks, two words for 30 checks: which are decided, and which hold. The same array each time
   */
  of(generation: number, evaluator: number, words: number): Int32Array {
    if (this.#generation !== generation) {
      this.#generation = generation;
      this.#byEvaluator = [];
    }
    const known = this.#byEvaluator[evaluator];
    if (known !== undefined) return known;
    const fresh = new Int32Array(words);
    this.#byEvaluator[evaluator] = fresh;
    return fresh;
  }
}
