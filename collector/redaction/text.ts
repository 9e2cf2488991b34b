export const HIDDEN = '***';

/** What a secret is called, in the name of an option or a variable. */
const NAMES = [
  'pass(?:wd|word|phrase|code)?',
  'pwd',
  'secret',
  'token',
  'credentials?',
  'api[-_]?key',
  'access[-_]?key',
  'private[-_]?key',
  'secret[-_]?key',
  'auth[-_]?key',
].join('|');
/** Those that also stand at the end of a longer word: PGPASSWORD, mysecret. */
const ENDINGS = 'password|passwd|passphrase|secret|token';
/** In quotes with blanks, where a shell's own text is shown (`sh -c`). */
const VALUE = `(?:"[^"]*"|'[^']*'|[^\\s"'&;|]+)`;

/**
 * Each has one group `secret`. Command lines are written by whom the rules are there for: no pattern repeats what itself repeats, and what is looked through again
 * from every place is bounded.
 */
const PATTERNS: readonly RegExp[] = [
  // --password=x, DB_PASSWORD=x, ?token=x
  new RegExp(
    `(?:^|[\\s"'?&;,(])-{0,2}(?:(?:[\\w.]{1,64}[-_.])?(?:${NAMES})|[\\w.-]{1,64}(?:${ENDINGS}))=(?<secret>${VALUE})`,
    'gi',
  ),
  // --db-password x, -password x
  new RegExp(`(?:^|\\s)--?(?:[\\w.]{1,64}[-_.])?(?:${NAMES})\\s{1,8}(?<secret>(?!-)${VALUE})`, 'gi'),
  // Authorization: Bearer x
  /\b(?:authorization|x-api-key|x-auth-token|private-token)\s?[:=]\s?(?:(?:bearer|basic|token)\s)?(?<secret>[^\s"',;]+)/gi,
  /\bbearer\s(?<secret>[^\s"',;]{8,})/gi,
  // https://user:x@host
  /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"']{0,128}:(?<secret>[^\s/@"']{1,512})@/gi,
  // curl -u user:x; 1000:1000 is a user and a group
  /(?:^|\s)(?:-u|--user|--proxy-user)[\s=]["']?(?!\d+:\d+(?:\s|$))[^\s:"']{1,128}:(?<secret>[^\s"']+)/g,
  // mysql -px, sshpass -p x, redis-cli -a x
  /\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\s(?:[^|;&]{0,256}?\s)??-p(?<secret>[^\s"']+)/g,
  /\bsshpass\s(?:-\S{1,64}\s){0,5}?-p\s?(?<secret>[^\s"']+)/g,
  /\bredis-cli\s(?:[^|;&]{0,256}?\s)??-a\s(?<secret>[^\s"']+)/g,
  // Tokens that say what they are: GitHub, GitLab, Slack, Stripe, Google, Vault and the like, JSON Web Tokens
  /(?<![\w-])(?<secret>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}|sk-[\w-]{20,}|[rs]k_live_\w{10,}|AIza[\w-]{30,}|hvs\.[\w-]{20,}|eyJ[\w-]{8,512}\.eyJ[\w-]{8,}\.[\w-]+)/g,
];

/** {"password":"x"}. Only in command lines: the output of a rule may well name `credentials: /root/.aws/credentials`. */
const NAMED_VALUE = new RegExp(`["'](?:${NAMES})["']\\s?:\\s?(?<secret>"[^"]*"|'[^']*'|[^\\s"',}\\]]+)`, 'gi');

/** Most texts have none of these, and then no pattern matches. */
const ANY =
  /pass|pwd|secret|token|credential|key|auth|bearer|:\/\/|\s-u|--(?:proxy-)?user|mysql|mariadb|redis-cli|gh[pousr]_|github_pat|glpat-|xox|sk-|k_live|AIza|hvs\.|eyJ/i;

/** What hides secrets. */
export interface Redact {
  commandLine(text: string): string;
  /** A text in which command lines may stand. */
  prose(text: string): string;
}

/** @param more patterns of the user: what their group `secret` matches, or all */
export function createRedact(more: readonly string[]): Redact {
  const own = more.map((source) => new RegExp(source, 'g'));
  const inProse = [...PATTERNS, ...own];
  const inCommandLine = [...PATTERNS, NAMED_VALUE, ...own];
  const isSafe = (text: string) => own.length === 0 && !ANY.test(text);
  return {
    commandLine: remembering((text) => (isSafe(text) ? text : inCommandLine.reduce(hide, text))),
    prose: remembering((text) => (isSafe(text) ? text : inProse.reduce(hide, text))),
  };
}

const MOST_REMEMBERED = 200;
const LONGEST_REMEMBERED = 2048;

/** A flood says the same again and again. What hides something is not remembered: it would keep the secret. */
function remembering(redact: (text: string) => string): (text: string) => string {
  const clean = new Set<string>();
  return (text) => {
    if (clean.has(text)) return text;
    const redacted = redact(text);
    if (redacted !== text || text.length > LONGEST_REMEMBERED) return redacted;
    if (clean.size >= MOST_REMEMBERED) clean.clear();
    clean.add(text);
    return text;
  };
}

function hide(text: string, pattern: RegExp): string {
  return text.replace(pattern, (...found) => {
    const [whole] = found as [string];
    const groups = found.at(-1) as { secret?: string } | string;
    const secret = typeof groups === 'object' ? groups.secret : whole;
    if (secret === undefined || secret === '' || secret.startsWith(HIDDEN)) return whole;
    const at = whole.lastIndexOf(secret);
    return `${whole.slice(0, at)}${HIDDEN}${whole.slice(at + secret.length)}`;
  });
}
