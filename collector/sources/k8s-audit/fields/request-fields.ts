import type { AuditEvent } from '../audit-event.ts';
import { dig, fieldText, items, listOf, member } from '../json.ts';
import { listAt, select, textAt } from './audit-fields.ts';
import { type ArgumentGetter, type FieldTable, plain } from './context.ts';

function subjectsOf({ audit }: AuditEvent): readonly unknown[] {
  return items(dig(audit, ['requestObject', 'subjects']));
}

/** Names of the subjects of a kind. */
function subjectNames(kind: string, name: (subject: unknown) => unknown): ArgumentGetter {
  return plain((event) =>
    listOf(
      subjectsOf(event)
        .filter((subject) => member(subject, 'kind') === kind)
        .map(name),
    ),
  );
}

const nameOf = (subject: unknown): unknown => member(subject, 'name');

/** `namespace:name`. */
function namespacedName(subject: unknown): string {
  return `${fieldText(member(subject, 'namespace')) ?? ''}:${fieldText(nameOf(subject)) ?? ''}`;
}

const bindingNames: ArgumentGetter = (argument) => (event) => {
  const subjects = subjectsOf(event);
  return subjects.length === 0 ? undefined : String(subjects.some((subject) => nameOf(subject) === argument));
};

/** What all rules of a role hold for a key. With an index, that rule alone. */
function ofRules(key: string): ArgumentGetter {
  return (argument) => (event) => {
    const rules = select(items(dig(event.audit, ['requestObject', 'rules'])), argument);
    return listOf(rules.flatMap((rule) => items(member(rule, key))));
  };
}

/** What a request carries for objects other than pods. */
export const REQUEST_FIELDS: FieldTable = {
  'ka.req.binding.subjects': listAt('requestObject', 'subjects'),
  'ka.req.binding.subjects.user_names': subjectNames('User', nameOf),
  'ka.req.binding.subjects.serviceaccount_names': subjectNames('ServiceAccount', nameOf),
  'ka.req.binding.subjects.serviceaccount_ns_names': subjectNames('ServiceAccount', namespacedName),
  'ka.req.binding.subjects.group_names': subjectNames('Group', nameOf),
  'ka.req.binding.role': textAt('requestObject', 'roleRef', 'name'),
  'ka.req.binding.subject.has_name': bindingNames,
  'ka.req.configmap.name': textAt('objectRef', 'name'),
  'ka.req.configmap.obj': textAt('requestObject', 'data'),
  'ka.req.role.rules': listAt('requestObject', 'rules'),
  'ka.req.role.rules.apiGroups': ofRules('apiGroups'),
  'ka.req.role.rules.nonResourceURLs': ofRules('nonResourceURLs'),
  'ka.req.role.rules.verbs': ofRules('verbs'),
  'ka.req.role.rules.resources': ofRules('resources'),
  'ka.req.service.type': textAt('requestObject', 'spec', 'type'),
  'ka.req.service.ports': listAt('requestObject', 'spec', 'ports'),
};
