import { existsSync } from 'node:fs';
import { logsPipelines } from '../collector/config/service.ts';
import { ShikraError } from '../collector/errors.ts';
import { escapeControls } from '../exporters/stdout/format.ts';
import { openDatabase } from '../exporters/store/database.ts';
import { type DeadLetter, type DeadLetterChoice, DeadLetters } from '../exporters/store/dead-letters.ts';
import { Origins } from '../exporters/store/origins.ts';
import { readConfig } from './read-config.ts';

interface CommonOptions {
  readonly config?: string;
  readonly exporter?: string;
}

export interface ListOptions extends CommonOptions {
  readonly json?: boolean;
  readonly limit: number;
}

export interface ChoiceOptions extends CommonOptions {
  readonly all?: boolean;
}

/** `shikra deadletter list`. @returns the exit code */
export function list({ config, exporter, json, limit }: ListOptions): number {
  return withLetters(config, (letters) => {
    const found = letters.list({ exporter }, limit);
    if (json) console.log(JSON.stringify(found.map(toJson), null, 2));
    else for (const letter of found) console.log(formatLetter(letter));
    const rest = letters.count({ exporter }) - found.length;
    if (rest > 0) console.error(`and ${rest} more; --limit shows them`);
    if (found.length === 0 && !json) console.error('no dead letters');
    return 0;
  });
}

/** `shikra deadletter retry`. @returns the exit code */
export function retry(uids: readonly string[], options: ChoiceOptions): number {
  const { exporter, config } = options;
  const inUse = logsPipelines(readConfig(config).config.service.pipelines).flatMap(([, { exporters }]) => exporters);
  if (exporter !== undefined && !inUse.includes(exporter))
    console.error(`shikra: warning: no pipeline uses ${exporter}: they wait until one does`);
  return change(uids, options, (letters, choice) => letters.request(choice), 'will be sent again');
}

/** `shikra deadletter drop`. @returns the exit code */
export function drop(uids: readonly string[], options: ChoiceOptions): number {
  return change(uids, options, (letters, choice) => letters.drop(choice), 'dropped');
}

function change(
  uids: readonly string[],
  { config, exporter, all }: ChoiceOptions,
  work: (letters: DeadLetters, choice: DeadLetterChoice) => number,
  done: string,
): number {
  if (uids.length === 0 && exporter === undefined && all !== true) {
    console.error('shikra: say which: uuids, --exporter or --all');
    return 2;
  }
  return withLetters(config, (letters) => {
    const count = work(letters, { exporter, uids });
    console.log(`${count} ${done}`);
    return count === 0 ? 1 : 0;
  });
}

function withLetters(configFile: string | undefined, work: (letters: DeadLetters) => number): number {
  const { path } = readConfig(configFile).config.service.store;
  if (!existsSync(path)) throw new ShikraError('STORE_UNUSABLE', `${path} does not exist`);
  let database: ReturnType<typeof openDatabase> | undefined;
  try {
    database = openDatabase(path);
    // The agent may be writing; a command can wait for it.
    database.exec('PRAGMA busy_timeout = 5000');
    return work(new DeadLetters(database, new Origins(database)));
  } catch (error) {
    throw new ShikraError('STORE_UNUSABLE', `${path}: ${(error as Error).message}`, { cause: error });
  } finally {
    database?.close();
  }
}

function formatLetter({ exporter, failedAt, reason, retry, item }: DeadLetter): string {
  const { priority, rule, output } = item.detection;
  const state = retry ? ', will be sent again' : '';
  return [
    `${item.uid}  ${new Date(failedAt).toISOString()}  ${exporter}${state}`,
    `  ${priority} ${escapeControls(`${rule}: ${output}`)}`,
    `  refused: ${escapeControls(reason)}`,
  ].join('\n');
}

function toJson({ exporter, failedAt, reason, retry, item }: DeadLetter): object {
  const { rule, priority, output, time } = item.detection;
  return {
    uuid: item.uid,
    exporter,
    failed_at: new Date(failedAt).toISOString(),
    reason,
    retry,
    time,
    rule,
    priority,
    output,
  };
}
