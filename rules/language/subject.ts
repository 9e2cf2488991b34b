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

const NO_WORDS: number[] = [];

/**
 * The answers about one subject, for every evaluator of a rule set; those of a set that was replaced are forgotten. There are tens of thousands: most subjects
 * meet one evaluator, whose answers are here, those of others hang on it.
 */
export class Verdicts {
  #generation = -1;
  #evaluator = -1;
  /** Small numbers: a typed array does the same and takes five times the memory, being short. */
  #words: number[] = NO_WORDS;
  #next: Verdicts | undefined;

  /**
   * @param generation of the rule set
   * @param evaluator its number in the set
   * @param words length of the array
   * @returns bit masks of the evaluator's own making, 0 at first. The same array each time
   */
  of(generation: number, evaluator: number, words: number): number[] {
    for (let at: Verdicts | undefined = this; at !== undefined; at = at.#next)
      if (at.#evaluator === evaluator && at.#generation === generation) return at.#words;
    return this.#begin(generation, evaluator, words);
  }

  #begin(generation: number, evaluator: number, words: number): number[] {
    let place: Verdicts = this;
    if (this.#generation === generation) {
      place = new Verdicts();
      place.#next = this.#next;
      this.#next = place;
    } else {
      this.#next = undefined;
    }
    place.#generation = generation;
    place.#evaluator = evaluator;
    place.#words = new Array<number>(words).fill(0);
    return place.#words;
  }
}
