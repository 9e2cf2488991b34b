import { FIELDS } from '../rules/index.ts';

export interface FieldClass {
  readonly name: string;
  readonly description: string;
  readonly sources: readonly string[];
  /** Fields are in the first class that takes them. */
  readonly takes: RegExp;
  /** The engine gives them, not the sources. */
  readonly ofEngine?: boolean;
}

const SYSCALL = ['syscall'];
const AUDIT = ['k8s_audit'];

/** Falco's classes of fields, in the order in which they are shown. */
export const FIELD_CLASSES: readonly FieldClass[] = [
  {
    name: 'evt',
    description: 'any event',
    sources: [...SYSCALL, ...AUDIT],
    takes:
      /^(?:evt\.(?:num|time|datetime|rawtime|reltime|pluginname|plugininfo|source|is_async|asynctype|hostname)|util)(?:\.|$)/,
  },
  { name: 'evt (for system calls)', description: 'the system call', sources: SYSCALL, takes: /^(?:evt|syscall)\./ },
  { name: 'fd', description: 'the file or connection that the event is about', sources: SYSCALL, takes: /^fd\./ },
  { name: 'fdlist', description: 'the descriptors of a poll', sources: SYSCALL, takes: /^fdlist\./ },
  { name: 'fs.path', description: 'the paths that the system call names', sources: SYSCALL, takes: /^fs\./ },
  {
    name: 'container',
    description: 'the container of the process',
    sources: SYSCALL,
    takes: /^container\.|^proc\.is_container_|^shikra\.container\./,
  },
  { name: 'process', description: 'the process that caused the event', sources: SYSCALL, takes: /^(?:proc|thread)\./ },
  { name: 'user', description: 'the user of the process', sources: SYSCALL, takes: /^user\./ },
  { name: 'group', description: 'the group of the process', sources: SYSCALL, takes: /^group\./ },
  { name: 'k8s', description: 'the pod of the container', sources: SYSCALL, takes: /^k8s\./ },
  { name: 'k8saudit', description: 'the Kubernetes audit event', sources: AUDIT, takes: /^ka\./ },
  { name: 'json', description: 'any part of an event that is JSON', sources: AUDIT, takes: /^(?:json|jevt)\./ },
  {
    name: 'shikra',
    description: 'what the engine knows of the rule that fires',
    sources: [...SYSCALL, ...AUDIT],
    takes: /^shikra\./,
    ofEngine: true,
  },
];

/** Names of the fields of each class. */
export function fieldsByClass(): Map<FieldClass, string[]> {
  const byClass = new Map<FieldClass, string[]>(FIELD_CLASSES.map((fieldClass) => [fieldClass, []]));
  for (const name of FIELDS.keys()) {
    const fieldClass = FIELD_CLASSES.find(({ takes }) => takes.test(name));
    if (fieldClass === undefined) throw new Error(`field ${name} is in no class`);
    byClass.get(fieldClass)!.push(name);
  }
  for (const [fieldClass, names] of byClass) if (names.length === 0) byClass.delete(fieldClass);
  return byClass;
}
