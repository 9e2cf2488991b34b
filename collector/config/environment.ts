export type Environment = Readonly<Record<string, string | undefined>>;

/** What came of a scalar with references: its text, and what was wrong with them. */
export interface Expansion {
  readonly text: string;
  readonly mistakes: readonly string[];
  /** True if the whole scalar was one reference: then its text has the type that YAML gives it. */
  readonly isWhole: boolean;
}

// `$$`, or `${...}` up to the first closing brace.
const REFERENCE = /\$\$|\$\{([^}]*)\}/g;
const INSIDE = /^env:([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Expands `${env:NAME}` and `${env:NAME:-default}` as the OpenTelemetry Collector does; `$$` stands for one dollar.
 * A variable that is not set and has no default is a mistake: an empty endpoint is never what was meant.
 */
export function expandEnvironment(source: string, environment: Environment): Expansion {
  const mistakes: string[] = [];
  const text = source.replace(REFERENCE, (whole, inside: string | undefined) => {
    if (inside === undefined) return '$';
    const match = INSIDE.exec(inside);
    if (match === null) {
      mistakes.push(
        `expected \`\${env:NAME}\` or \`\${env:NAME:-default}\`, got \`${whole}\` (write \`$$\` for a dollar sign)`,
      );
      return whole;
    }
    const [, name, fallback] = match;
    const value = environment[name as string] ?? fallback;
    if (value === undefined) {
      mistakes.push(`the environment variable ${name} is not set; set it, or give a default: \`\${env:${name}:-...}\``);
    }
    return value ?? '';
  });
  const [first] = source.match(REFERENCE) ?? [];
  return { text, mistakes, isWhole: first === source && first !== '$$' };
}

const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i;

/** A plain scalar's value, by YAML's core schema. Never a list or a mapping: a variable must not bring structure. */
export function plainScalar(text: string): string | number | boolean {
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  return NUMBER.test(text) ? Number(text) : text;
}
