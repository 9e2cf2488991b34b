import {
  type ArgumentList,
  type Check,
  type Expression,
  type FieldOperand,
  LIST_OPERATORS,
  type Literal,
  type Literals,
  MODIFIERS,
  type Modifier,
  NUMERIC_OPERATORS,
  OPERATORS,
  type Operand,
  type Operator,
  type RightSide,
  STRING_OPERATORS,
  TRANSFORMERS,
  type TransformerArgument,
  type TransformerOperand,
  type ValueOf,
} from './ast.ts';
import { Scanner, SyntaxProblem } from './scan.ts';

/**
 * The grammar of a condition. Blanks (space, tab, newline, return, backspace) may stand between any two words.
 *
 *   Expression  = And { 'or' And } ;
 *   And         = Not { 'and' Not } ;
 *   Not         = { 'not' } Primary ;
 *   Primary     = '(' Expression ')' | Operand Condition | MacroName ;
 *   Condition   = 'exists'
 *               | NumericOperator ( Number | ValueOf )
 *               | StringOperator ( String | ValueOf )
 *               | StringOperator Modifier List
 *               | ListOperator ( List | ValueOf | BareString ) ;
 *   Operand     = Field | Transformer ;
 *   Field       = Name '.' Name { '.' Name } [ '[' ( QuotedString | BareArgument ) ']' ] ;
 *   Transformer = TransformerName '(' Argument { ',' Argument } ')' [ '[' BareArgument ']' ] ;
 *   Argument    = Number | QuotedString | Operand | '(' [ Argument { ',' Argument } ] ')' ;
 *   ValueOf     = 'val' '(' Field ')' | Transformer ;
 *   List        = '(' [ String { ',' String } ] ')' ;
 *   String      = QuotedString | BareString ;
 *
 * A word operator and a keyword end at a blank, a parenthesis, a quote or the end. List names were replaced by their items before.
 */
export function parseCondition(text: string): Expression {
  const parser = new Parser(text);
  return parser.parse();
}

/** Parses a field alone, with its argument: what exceptions and outputs name. */
export function parseOperand(text: string): Operand {
  const parser = new Parser(text);
  return parser.parseOperandOnly();
}

/** Parses a field or transformer that starts at an offset of a longer text: what an output has after `%`. */
export function parseOperandAt(text: string, offset: number): Operand | undefined {
  const parser = new Parser(text, offset);
  return parser.parseOperandPrefix();
}

/** Falco's limit for rules: parentheses, negations and transformers inside each other. */
export const DEEPEST = 1000;

const KEYWORDS: ReadonlySet<string> = new Set(['and', 'or', 'not']);
const TRANSFORMER_CALLS: readonly string[] = TRANSFORMERS.map((name) => `${name}(`);
const CONDITION_START = "a field, a macro name, 'not' or '('";

class Parser {
  readonly #scanner: Scanner;
  #depth = 0;

  constructor(text: string, offset = 0) {
    this.#scanner = new Scanner(text);
    this.#scanner.offset = offset;
  }

  parse(): Expression {
    const expression = this.#expression();
    this.#scanner.skipBlanks();
    if (!this.#scanner.atEnd()) throw this.#unexpected("'and', 'or' or the end of the condition");
    return expression;
  }

  parseOperandPrefix(): Operand | undefined {
    return this.#transformer() ?? this.#field();
  }

  parseOperandOnly(): Operand {
    const operand = this.#operand();
    this.#scanner.skipBlanks();
    if (operand === undefined || !this.#scanner.atEnd()) throw this.#unexpected('a field');
    return operand;
  }

  #expression(): Expression {
    const operands = [this.#and()];
    while (this.#keyword('or')) operands.push(this.#and());
    return operands.length === 1 ? operands[0]! : { kind: 'or', operands };
  }

  #and(): Expression {
    const operands = [this.#not()];
    while (this.#keyword('and')) operands.push(this.#not());
    return operands.length === 1 ? operands[0]! : { kind: 'and', operands };
  }

  #not(): Expression {
    let negations = 0;
    while (this.#keyword('not')) negations++;
    this.#deeper(negations);
    let expression = this.#primary();
    for (let i = 0; i < negations; i++) expression = { kind: 'not', operand: expression };
    this.#depth -= negations;
    return expression;
  }

  #primary(): Expression {
    this.#scanner.skipBlanks();
    if (this.#scanner.symbol('(')) {
      this.#deeper(1);
      const expression = this.#expression();
      this.#close("')', 'and' or 'or'");
      this.#depth--;
      return expression;
    }
    const operand = this.#operand();
    if (operand !== undefined) return this.#check(operand);
    const start = this.#scanner.offset;
    const name = this.#scanner.identifier();
    if (name === undefined || KEYWORDS.has(name)) {
      this.#scanner.offset = start;
      throw this.#unexpected(CONDITION_START);
    }
    return { kind: 'macro', name, span: this.#scanner.spanFrom(start) };
  }

  #check(left: Operand): Check {
    this.#scanner.skipBlanks();
    const start = this.#scanner.offset;
    const operator = OPERATOR_ORDER.find((candidate) => this.#operator(candidate));
    if (operator === undefined) throw this.#unexpected(`an operator (${OPERATORS.join(' ')})`);
    const operatorSpan = this.#scanner.spanFrom(start);
    const check = { kind: 'check', left, operator, operatorSpan, modifier: undefined } as const;
    if (operator === 'exists') return { ...check, right: undefined };
    if (isOneOf(NUMERIC_OPERATORS, operator)) return { ...check, right: this.#valueOf() ?? this.#number() };
    if (isOneOf(LIST_OPERATORS, operator)) return { ...check, right: this.#listSide() };
    this.#scanner.skipBlanks();
    const modifier = MODIFIERS.find((candidate) => this.#modifier(candidate));
    if (modifier !== undefined) return { ...check, modifier, right: this.#list() };
    return { ...check, right: this.#valueOf() ?? this.#string() };
  }

  #operator(operator: Operator): boolean {
    if (WORD_OPERATORS.has(operator)) return this.#wordOperator(operator);
    return this.#scanner.symbol(operator);
  }

  /** Reads an operator that is a word; a quote may follow without a blank: `contains"x"`. */
  #wordOperator(word: string): boolean {
    const next = this.#scanner.text[this.#scanner.offset + word.length];
    if (next === '"' || next === "'") return this.#scanner.symbol(word);
    return this.#scanner.keyword(word);
  }

  /** A modifier is only one if a list follows: `= anyof` compares with the text. */
  #modifier(modifier: Modifier): boolean {
    const start = this.#scanner.offset;
    if (this.#scanner.keyword(modifier)) {
      this.#scanner.skipBlanks();
      if (this.#scanner.text[this.#scanner.offset] === '(') return true;
    }
    this.#scanner.offset = start;
    return false;
  }

  #listSide(): RightSide {
    const value = this.#valueOf();
    if (value !== undefined) return value;
    if (this.#scanner.text[this.#scanner.offset] === '(') return this.#list();
    const start = this.#scanner.offset;
    if (this.#scanner.bareString() !== undefined) {
      // An expanded list name stands without parentheses, its items joined by commas: `in list_name`.
      this.#scanner.offset = start;
      const items = this.#strings();
      return { kind: 'literals', items, span: this.#scanner.spanFrom(start) };
    }
    throw this.#unexpected('a list: ( value, ... )');
  }

  #list(): Literals {
    this.#scanner.skipBlanks();
    const start = this.#scanner.offset;
    if (!this.#scanner.symbol('(')) throw this.#unexpected('a list: ( value, ... )');
    this.#scanner.skipBlanks();
    if (this.#scanner.symbol(')')) return { kind: 'literals', items: [], span: this.#scanner.spanFrom(start) };
    const items = this.#strings();
    this.#close("',' or ')'");
    return { kind: 'literals', items, span: this.#scanner.spanFrom(start) };
  }

  #strings(): Literal[] {
    const items = [this.#string()];
    for (;;) {
      this.#scanner.skipBlanks();
      if (!this.#scanner.symbol(',')) return items;
      items.push(this.#string());
    }
  }

  #string(): Literal {
    this.#scanner.skipBlanks();
    const start = this.#scanner.offset;
    const text = this.#scanner.quotedString() ?? this.#scanner.bareString();
    if (text === undefined) throw this.#unexpected('a value');
    return { kind: 'literal', text, span: this.#scanner.spanFrom(start) };
  }

  #number(): Literal {
    this.#scanner.skipBlanks();
    const start = this.#scanner.offset;
    const text = this.#scanner.number();
    if (text === undefined) throw this.#unexpected('a number');
    return { kind: 'literal', text, span: this.#scanner.spanFrom(start) };
  }

  #valueOf(): ValueOf | undefined {
    this.#scanner.skipBlanks();
    const start = this.#scanner.offset;
    if (this.#scanner.symbol('val(')) {
      const operand = this.#operand();
      if (operand === undefined) throw this.#unexpected('a field');
      this.#close("')'");
      return { kind: 'value-of', operand };
    }
    this.#scanner.offset = start;
    const operand = this.#transformer();
    return operand && { kind: 'value-of', operand };
  }

  #operand(): Operand | undefined {
    this.#scanner.skipBlanks();
    return this.#transformer() ?? this.#field();
  }

  #field(): FieldOperand | undefined {
    const start = this.#scanner.offset;
    const name = this.#scanner.fieldName();
    if (name === undefined) return undefined;
    const argument = this.#bracket();
    return { kind: 'field', name, argument, span: this.#scanner.spanFrom(start) };
  }

  #transformer(): TransformerOperand | undefined {
    const start = this.#scanner.offset;
    const name = TRANSFORMERS.find((_, index) => this.#scanner.symbol(TRANSFORMER_CALLS[index]!));
    if (name === undefined) return undefined;
    this.#deeper(1);
    const args = this.#arguments();
    this.#depth--;
    const argument = this.#bracket();
    return { kind: 'transformer', name, arguments: args, argument, span: this.#scanner.spanFrom(start) };
  }

  #arguments(): TransformerArgument[] {
    const args: TransformerArgument[] = [];
    do {
      this.#scanner.skipBlanks();
      args.push(this.#scanner.symbol('(') ? this.#argumentList() : this.#simpleArgument());
      this.#scanner.skipBlanks();
    } while (this.#scanner.symbol(','));
    this.#close("',' or ')'");
    return args;
  }

  #argumentList(): ArgumentList {
    const items: (Operand | Literal)[] = [];
    this.#scanner.skipBlanks();
    if (this.#scanner.symbol(')')) return { kind: 'list', items };
    do {
      items.push(this.#simpleArgument());
      this.#scanner.skipBlanks();
    } while (this.#scanner.symbol(','));
    this.#close("',' or ')'");
    return { kind: 'list', items };
  }

  #simpleArgument(): Operand | Literal {
    this.#scanner.skipBlanks();
    const start = this.#scanner.offset;
    const text = this.#scanner.quotedString() ?? this.#scanner.number();
    if (text !== undefined) return { kind: 'literal', text, span: this.#scanner.spanFrom(start) };
    const operand = this.#operand();
    if (operand === undefined) throw this.#unexpected('a field, a quoted string or a number');
    return operand;
  }

  #bracket(): string | undefined {
    if (!this.#scanner.symbol('[')) return undefined;
    const argument = this.#scanner.quotedString() ?? this.#scanner.bareArgument();
    if (argument === undefined) throw this.#unexpected('an argument');
    if (!this.#scanner.symbol(']')) throw this.#unexpected("']'");
    return argument;
  }

  #close(expected: string): void {
    this.#scanner.skipBlanks();
    if (!this.#scanner.symbol(')')) throw this.#unexpected(expected);
  }

  #keyword(word: string): boolean {
    this.#scanner.skipBlanks();
    return this.#scanner.keyword(word);
  }

  #deeper(levels: number): void {
    this.#depth += levels;
    if (this.#depth > DEEPEST) {
      throw new SyntaxProblem(`condition is nested more than ${DEEPEST} levels deep`, this.#scanner.nextSpan());
    }
  }

  #unexpected(expected: string): SyntaxProblem {
    return new SyntaxProblem(`unexpected ${this.#scanner.next()}`, this.#scanner.nextSpan(), expected);
  }
}

/** Longer spellings first, so that `<=` is not read as `<`. */
const OPERATOR_ORDER: readonly Operator[] = [...OPERATORS].sort((a, b) => b.length - a.length);
const WORD_OPERATORS: ReadonlySet<Operator> = new Set(OPERATORS.filter((operator) => /[a-z]/.test(operator)));

function isOneOf<T extends string>(list: readonly T[], value: string): value is T {
  return (list as readonly string[]).includes(value);
}

/** True if the operator takes one string on its right, or a list after a modifier. */
export function isStringOperator(operator: Operator): boolean {
  return isOneOf(STRING_OPERATORS, operator);
}
