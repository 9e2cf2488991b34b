import type { Detection } from '../../collector/detection/detection.ts';
import type { Priority } from '../../collector/detection/priority.ts';

const RESET = '\u001b[0m';

const COLORS: Readonly<Record<Priority, string>> = {
  Emergency: '\u001b[1;97;41m',
  Alert: '\u001b[1;31m',
  Critical: '\u001b[1;31m',
  Error: '\u001b[31m',
  Warning: '\u001b[33m',
  Notice: '\u001b[36m',
  Informational: '\u001b[32m',
  Debug: '\u001b[90m',
};

/** `22:00:00.123456789: Warning <output>`, as Falco prints it. */
export function formatText(detection: Detection, color: boolean): string {
  const time = detection.time.slice(11, -1);
  const priority = color ? `${COLORS[detection.priority]}${detection.priority}${RESET}` : detection.priority;
  return `${time}: ${priority} ${escapeControls(detection.output)}`;
}

/**
 * File names and command lines are the attacker's to choose: an escape sequence in one could clear the terminal or forge a line. C0, DEL, C1,
 * and the characters that turn the direction of writing become visible.
 */
export function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escapeOne);
}

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeOne(character: string): string {
  const code = character.charCodeAt(0);
  return SHORT[character] ?? (code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`);
}
