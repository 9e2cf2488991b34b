import { holdsPath } from '../fields/catalogue.ts';
import type { LiteralValue, TypedCheck, TypedExpression, TypedField } from './typed.ts';

/**
 * Folders that are symbolic links on every current distribution, and what they lead to. The kernel tells a file by where it lies: a rule that says /bin
 * would never meet /usr/bin. The table is the same on every machine: a container has links of its own, and a test must tell what the agent does.
 */
const LINKED_FOLDERS: readonly (readonly [link: string, folder: string])[] = [
  ['/bin', '/usr/bin'],
  ['/sbin', '/usr/sbin'],
  ['/lib', '/usr/lib'],
  ['/lib32', '/usr/lib32'],
  ['/lib64', '/usr/lib64'],
  ['/libx32', '/usr/libx32'],
  ['/var/run', '/run'],
  ['/var/lock', '/run/lock'],
];
/** The letters after the slash with which one of them begins: a list of a hundred thousand paths is looked through. */
const FIRST_LETTERS = new Set(LINKED_FOLDERS.map(([link]) => link.charCodeAt(1)));
const SLASH = 47;

/** Paths without spellings of their own: of executables and folders, as the kernel tells them. */
const KERNEL_PATHS: ReadonlySet<string> = new Set(
  'proc.exepath proc.pexepath proc.aexepath proc.sid.exepath proc.vpgid.exepath proc.pgid.exepath proc.cwd'.split(' '),
);

/**
 * Lets constants below a linked folder stand for the same below the folder that it leads to, in checks that help a rule to match. Below a `not` they stay:
 * an exception excuses only the spelling that it names, and no rule matches less than without this.
 */
export class LinkedFolders {
  /** Macros share their nodes, and so must what becomes of them. By whether the node is below a `not`. */
  readonly #known = [new Map<TypedExpression, TypedExpression>(), new Map<TypedExpression, TypedExpression>()] as const;

  resolve(expression: TypedExpression, negated = false): TypedExpression {
    const known = this.#known[negated ? 1 : 0];
    let resolved = known.get(expression);
    if (resolved === undefined) {
      resolved = this.#resolve(expression, negated);
      known.set(expression, resolved);
    }
    return resolved;
  }

  #resolve(expression: TypedExpression, negated: boolean): TypedExpression {
    switch (expression.kind) {
      case 'and':
      case 'or': {
        const operands = expression.operands.map((operand) => this.resolve(operand, negated));
        const same = operands.every((operand, index) => operand === expression.operands[index]);
        return same ? expression : { ...expression, operands };
      }
      case 'not': {
        const operand = this.resolve(expression.operand, !negated);
        return operand === expression.operand ? expression : { ...expression, operand };
      }
      case 'check':
        return negated ? expression : resolveCheck(expression);
      case 'constant':
        return expression;
    }
  }
}

/** Operators that a path with more ways to be right fulfils more often. */
const ONE_PATH = new Set(['=', 'startswith', 'glob']);
const SEVERAL_PATHS = new Set(['in', 'intersects', 'pmatch']);

function resolveCheck(check: TypedCheck): TypedExpression {
  const { left, operator, modifier, values } = check;
  if (left.kind !== 'field' || !isPath(left)) return check;
  const takesMore = modifier === undefined ? SEVERAL_PATHS.has(operator) : modifier === 'anyof';
  if (!takesMore && (modifier !== undefined || !ONE_PATH.has(operator))) return check;
  const others = otherPaths(values, operator);
  if (others.length === 0) return check;
  if (takesMore) return { ...check, values: [...values, ...others] };
  return { kind: 'or', operands: [check, ...others.map((path) => ({ ...check, values: [path] }))] };
}

function isPath({ definition, reference }: TypedField): boolean {
  return reference.name !== 'fd.filename' && (KERNEL_PATHS.has(reference.name) || holdsPath({ definition, reference }));
}

/** What else the constants stand for. */
function otherPaths(values: readonly LiteralValue[], operator: string): string[] {
  const others = new Set<string>();
  for (const value of values) {
    if (typeof value !== 'string' || value.charCodeAt(0) !== SLASH || !FIRST_LETTERS.has(value.charCodeAt(1))) continue;
    for (const path of resolvedPaths(value, operator)) others.add(path);
  }
  if (others.size === 0) return [];
  const known = new Set(values);
  return [...others].filter((path) => !known.has(path));
}

function resolvedPaths(value: string, operator: string): string[] {
  const isStart = operator === 'startswith';
  return LINKED_FOLDERS.flatMap(([link, folder]) => {
    if (value === link || value.startsWith(`${link}/`)) return [folder + value.slice(link.length)];
    return isStart && link.startsWith(value) ? [folder] : [];
  });
}
