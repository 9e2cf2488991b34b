import type { FieldValue } from '../../collector/detection/detection.ts';
import { BITS, evaluatorSource, type Group } from './evaluator-source.ts';
import { CheckCode } from './generate-check.ts';
import { fieldsIn, keyOf, operandKey, operandsOf, sidesOf } from './identity.ts';
import type { Subject, Verdicts } from './subject.ts';
import type { TypedCheck, TypedExpression, TypedOperand } from './typed.ts';
import { classOf } from './types.ts';

/**
 * Writes the conditions of one event type as JavaScript. Fields are read when first needed and once per event; an expression that occurs twice is
 * evaluated once. What was read or evaluated is noted in bit masks, so that starting an event means clearing a few numbers. An expression about one
 * subject (a path, a program) is evaluated once for the subject, not for each event: its answer is noted in masks that are kept with the subject.
 *
 * It stops after every few conditions, so that a thread with other things to do can do them in between.
 *
 * No text of a rule becomes code: constants, sets, getters and tests are passed in an array, and the code names them by number. Numbers are the
 * only constants written out.
 */
export function* generateEvaluator<E>(
  conditions: readonly TypedExpression[],
  readerOf: (operand: TypedOperand) => (event: E) => FieldValue | undefined,
  subjects: SubjectsOfEvaluator<E>,
): Generator<undefined, GeneratedEvaluator<E>> {
  const generator = new CodeGenerator(
    readerOf as (operand: TypedOperand) => unknown,
    subjects as SubjectsOfEvaluator<never>,
  );
  const { source, constants } = yield* generator.generate(conditions);
  yield;
  // The only arguments are an array of constants and helpers; see above for why the text is safe.
  const factory = new Function('constants', 'text', 'now', 'overhead', source);
  clockMillis ??= costOfClock();
  return factory(constants, asText, now, clockMillis) as GeneratedEvaluator<E>;
}

/** What a look at the clock takes, which is as much as a simple rule does. */
let clockMillis: number | undefined;

const now = (): number => performance.now();

function costOfClock(): number {
  const costs = Array.from({ length: 501 }, () => -now() + now()).sort((a, b) => a - b);
  return costs[250]!;
}

/** What the code gives: one function for every event, one for the few events that are measured, and one for an event that is made up. */
export interface GeneratedEvaluator<E> {
  evaluate(event: E, from: number): number;
  /** The same, and notes how long each condition took. */
  measure(event: E, from: number, meter: Meter): number;
  /** Runs what such an event runs, and stops after every few conditions: V8 compiles a function when it is first called, which takes some ten milliseconds for all. */
  rehearse(event: E): Generator<undefined, void>;
}

/** Evaluations and their time by a condition's number; each event measured counts as `weight` events. */
export interface Meter {
  readonly evaluations: Float64Array;
  readonly seconds: Float64Array;
  weight: number;
}

/** The subjects that events of the type have, and where the evaluator's answers are kept with them. */
export interface SubjectsOfEvaluator<E> {
  readonly subjects: readonly Subject<E>[];
  readonly eventType: string;
  /** Of the rule set, and of the evaluator in it. */
  readonly generation: number;
  readonly evaluator: number;
}

/** A function that holds the subject alone: one written where the code is generated would hold all that it is generated from. */
function verdictsOf(subject: Subject<never>): (event: never) => Verdicts | undefined {
  return (event) => subject.verdicts(event);
}

/** Text fields are compared as text even if a source gives a number. */
function asText(value: FieldValue | undefined): FieldValue | undefined {
  return value === undefined || typeof value === 'string' || typeof value === 'object' ? value : String(value);
}

/** In the word of a group: it was made. */
const MADE = 1 << BITS;

/** Some milliseconds' worth. */
const CONDITIONS_AT_ONCE = 20;

interface Node {
  readonly number: number;
  readonly expression: TypedExpression;
  readonly operands: readonly Node[];
  uses: number;
  /** Number of its bit, if it is remembered for the event. */
  slot: number | undefined;
  /** Number of the subject that its value follows from alone. */
  readonly subject: number | undefined;
  /** Number of its bit in the subject's verdicts, once it has one. */
  verdict: number | undefined;
}

interface FieldSlot {
  readonly id: number;
  readonly operand: TypedOperand;
  uses: number;
}

interface Program {
  readonly source: string;
  readonly constants: readonly unknown[];
}

class CodeGenerator {
  readonly #readerOf: (operand: TypedOperand) => unknown;
  readonly #constants: unknown[] = [];
  readonly #constantNumbers = new Map<unknown, number>();
  readonly #nodesByExpression = new Map<TypedExpression, Node>();
  readonly #nodesByKey = new Map<string, Node>();
  readonly #fields = new Map<string, FieldSlot>();
  readonly #functions: string[] = [];
  readonly #checks = new CheckCode(
    (operand) => this.#value(operand),
    (value) => this.#constant(value),
  );

  readonly #subjects: SubjectsOfEvaluator<never>;
  /** How many verdicts each subject has. */
  readonly #verdictCounts: number[];
  /** Of the words kept with a subject the first: one for each group. */
  #groupCount = 0;

  constructor(readerOf: (operand: TypedOperand) => unknown, subjects: SubjectsOfEvaluator<never>) {
    this.#readerOf = readerOf;
    this.#subjects = subjects;
    this.#verdictCounts = subjects.subjects.map(() => 0);
  }

  *generate(conditions: readonly TypedExpression[]): Generator<undefined, Program> {
    const roots: (Node | undefined)[] = [];
    for (const condition of conditions) {
      const isNever = condition.kind === 'constant' && !condition.value;
      roots.push(isNever ? undefined : this.#intern(condition));
      if (!isNever && roots.length % CONDITIONS_AT_ONCE === 0) yield;
    }
    for (const root of roots) if (root !== undefined) root.uses++;
    this.#groupCount = wordsFor(roots.filter((root) => root !== undefined).length).length;
    const remembered = [...this.#nodesByKey.values()].filter(
      (node) => node.uses > 1 && node.subject === undefined && isWorthRemembering(node.expression),
    );
    remembered.forEach((node, slot) => {
      node.slot = slot;
    });
    this.#countFieldUses();
    yield;
    const rules: number[] = [];
    const tested: Node[] = [];
    for (const [index, root] of roots.entries()) {
      if (root === undefined) continue;
      this.#rule(root, index);
      rules.push(index);
      tested.push(root);
      if (rules.length % CONDITIONS_AT_ONCE === 0) yield;
    }
    const groups: Group[] = [];
    for (let first = 0; first < rules.length; first += BITS) {
      groups.push(this.#group(groups.length, tested.slice(first, first + BITS), rules.slice(first, first + BITS)));
      yield;
    }
    for (const node of remembered) this.#functions.push(this.#rememberedFunction(node));
    yield;
    return { source: this.#assemble(rules, groups, remembered.length), constants: this.#constants };
  }

  #assemble(rules: readonly number[], groups: readonly Group[], rememberedCount: number): string {
    const cached = [...this.#fields.values()].filter(isCached);
    const fieldFunctions = cached.map((field) => this.#fieldFunction(field));
    const subjects = this.#subjects.subjects.flatMap((subject, id) => {
      const count = this.#verdictCounts[id]!;
      const words = this.#groupCount + 2 * wordsFor(count).length;
      return count === 0 ? [] : [{ id, words, find: this.#constant(verdictsOf(subject)) }];
    });
    return evaluatorSource({
      constantCount: this.#constants.length,
      rememberedWords: wordsFor(rememberedCount),
      fieldWords: wordsFor(this.#fields.size),
      cachedFields: cached.map(({ id }) => id),
      functions: [...fieldFunctions, ...this.#functions],
      subjects,
      generation: this.#subjects.generation,
      evaluator: this.#subjects.evaluator,
      groups,
      rules,
    });
  }

  /** Each rule is a function of its own: small enough for the optimiser, however many rules there are. */
  #rule(root: Node, index: number): void {
    const test = this.#use(root);
    this.#functions.push(`function r${index}() { let t; return ${test}; }`);
  }

  /**
   * Tests some conditions. What of them follows from a subject alone is decided for all of them at once, and one word is kept with the subject: which of them
   * cannot hold. For a path and a program seen before, most events are done after these words were put together.
   */
  #group(group: number, roots: readonly Node[], rules: readonly number[]): Group {
    const all = 2 ** rules.length - 1;
    const subjects: number[] = [];
    const words: string[] = [];
    for (const subject of this.#subjects.subjects.keys()) {
      const parts = roots.map((root) => conjunctsOf(root).filter((node) => node.subject === subject));
      if (parts.every((nodes) => nodes.length === 0)) continue;
      const lines = parts.flatMap((nodes, index) => {
        const test = nodes.map((node) => this.#use(node)).join(' && ');
        return nodes.length === 0 ? [] : [`if (!(${test})) c |= ${1 << index};`];
      });
      const name = `C${subject}_${group}`;
      this.#functions.push(
        `function ${name}() { let t; let c = ${MADE}; ${lines.join(' ')} return q${subject}[${group}] = c; }`,
      );
      subjects.push(subject);
      words.push(`(q${subject}[${group}] || ${name}())`);
    }
    const narrowed = words.map((word) => ` if ((c & ${all}) !== ${all}) c |= ${word};`).join('');
    this.#functions.push(`function G${group}() { let c = 0;${narrowed} return ~c & ${all}; }`);
    const tests = rules.map((rule, index) => `if (c & ${1 << index} && from <= ${rule} && r${rule}()) return ${rule};`);
    const code = [`  c = G${group}();`, '  if (c !== 0) {', ...tests.map((test) => `    ${test}`), '  }'].join('\n');
    return { code, subjects, all };
  }

  #fieldFunction(field: FieldSlot): string {
    const { word, bit } = bitOf(field.id);
    return `function F${field.id}() { m${word} |= ${bit}; return f${field.id} = ${this.#read(field)}; }`;
  }

  #rememberedFunction(node: Node): string {
    const { word, bit } = bitOf(node.slot!);
    const value = this.#compute(node);
    return `function n${node.slot}() { let t; k${word} |= ${bit}; if (${value}) { v${word} |= ${bit}; return true; } return false; }`;
  }

  /** Finds the node of an expression; equal expressions have one node, whatever macros or rules they stand in. */
  #intern(expression: TypedExpression): Node {
    const known = this.#nodesByExpression.get(expression);
    if (known !== undefined) return known;
    const operands = operandsOf(expression).map((operand) => this.#intern(operand));
    const key = keyOf(expression, operands);
    let node = this.#nodesByKey.get(key);
    if (node === undefined) {
      const subject = expression.kind === 'check' ? this.#subjectOf(expression) : commonSubject(operands);
      node = {
        number: this.#nodesByKey.size,
        expression,
        operands,
        uses: 0,
        slot: undefined,
        subject,
        verdict: undefined,
      };
      for (const operand of operands) operand.uses++;
      this.#nodesByKey.set(key, node);
    }
    this.#nodesByExpression.set(expression, node);
    return node;
  }

  #subjectOf(check: TypedCheck): number | undefined {
    const fields = sidesOf(check).flatMap(fieldsIn);
    const { subjects, eventType } = this.#subjects;
    const plain = check.left.kind === 'field' && check.right === undefined ? check : undefined;
    const found = subjects.findIndex((subject) =>
      fields.every((field) => subject.covers(field.reference, eventType, plain)),
    );
    return found < 0 || fields.length === 0 ? undefined : found;
  }

  /** A field that one place of the code reads needs no memory. */
  #countFieldUses(): void {
    for (const node of this.#nodesByKey.values()) {
      if (node.expression.kind !== 'check') continue;
      const places = node.slot === undefined ? node.uses : 1;
      this.#field(node.expression.left).uses += places;
      if (node.expression.right !== undefined) this.#field(node.expression.right).uses += places;
    }
  }

  /** @param within the subject of the expression around: inside it, parts are not kept again */
  #use(node: Node, within?: number): string {
    if (node.subject !== undefined && node.subject !== within && node.expression.kind !== 'constant')
      return this.#verdict(node, node.subject);
    if (node.slot === undefined) return this.#compute(node);
    const { word, bit } = bitOf(node.slot);
    return `(k${word} & ${bit} ? (v${word} & ${bit}) !== 0 : n${node.slot}())`;
  }

  #verdict(node: Node, subject: number): string {
    const fresh = node.verdict === undefined;
    node.verdict ??= this.#verdictCounts[subject]!++;
    const { word, bit } = bitOf(node.verdict);
    const at = this.#groupCount + 2 * word;
    const [known, holds] = [`q${subject}[${at}]`, `q${subject}[${at + 1}]`];
    const name = `p${subject}_${node.verdict}`;
    if (fresh) {
      this.#functions.push(
        `function ${name}() { let t; ${known} |= ${bit}; if (${this.#compute(node)}) { ${holds} |= ${bit}; return true; } return false; }`,
      );
    }
    return `(${known} & ${bit} ? (${holds} & ${bit}) !== 0 : ${name}())`;
  }

  #compute(node: Node): string {
    const { expression, subject } = node;
    switch (expression.kind) {
      case 'constant':
        return expression.value ? 'true' : 'false';
      case 'not':
        return `!${this.#use(node.operands[0]!, subject)}`;
      case 'and':
        return `(${node.operands.map((operand) => this.#use(operand, subject)).join(' && ')})`;
      case 'or':
        return `(${node.operands.map((operand) => this.#use(operand, subject)).join(' || ')})`;
      case 'check':
        return this.#checks.code(expression);
    }
  }

  #value(operand: TypedOperand): string {
    const field = this.#field(operand);
    if (!isCached(field)) return this.#read(field);
    const { word, bit } = bitOf(field.id);
    return `(m${word} & ${bit} ? f${field.id} : F${field.id}())`;
  }

  #read({ operand }: FieldSlot): string {
    const call = `${this.#constant(this.#readerOf(operand))}(e)`;
    const isText = classOf(operand.type) === 'string' || classOf(operand.type) === 'bytes';
    return isText ? `text(${call})` : call;
  }

  #field(operand: TypedOperand): FieldSlot {
    // A raw argument is a number in one check and bytes in another.
    const key = `${operand.type} ${operandKey(operand)}`;
    let slot = this.#fields.get(key);
    if (slot === undefined) {
      slot = { id: this.#fields.size, operand, uses: 0 };
      this.#fields.set(key, slot);
    }
    return slot;
  }

  #constant(value: unknown): string {
    let index = this.#constantNumbers.get(value);
    if (index === undefined) {
      index = this.#constants.push(value) - 1;
      this.#constantNumbers.set(value, index);
    }
    return `c${index}`;
  }
}

/** What must all hold for a condition to hold. */
function conjunctsOf(node: Node): Node[] {
  const { expression, subject, operands } = node;
  if (expression.kind !== 'and' || subject !== undefined) return expression.kind === 'constant' ? [] : [node];
  return operands.flatMap(conjunctsOf);
}

/** The subject that all operands have; undefined if they differ. */
function commonSubject(operands: readonly Node[]): number | undefined {
  const subject = operands[0]?.subject;
  return operands.every((operand) => operand.subject === subject) ? subject : undefined;
}

function isCached(field: FieldSlot): boolean {
  return field.uses > 1;
}

/** Looking up a bit costs as much as comparing with one constant. */
function isWorthRemembering(expression: TypedExpression): boolean {
  if (expression.kind === 'constant') return false;
  if (expression.kind === 'not') return false;
  if (expression.kind !== 'check') return true;
  const { operator, left, values, right } = expression;
  if (right !== undefined || left.multiplicity !== 'one' || left.kind === 'transformer') return true;
  if (operator === 'in' || operator === 'intersects') return values.length > 1;
  return !['=', '!=', '<', '<=', '>', '>=', 'exists'].includes(operator);
}

function bitOf(slot: number): { word: number; bit: number } {
  return { word: Math.floor(slot / BITS), bit: 1 << (slot % BITS) };
}

function wordsFor(slots: number): number[] {
  return Array.from({ length: Math.ceil(slots / BITS) }, (_, word) => word);
}
