import { field } from './field.ts';

/** Fields of the user and group of the process. */
export const USER_FIELDS = [
  field('user.uid', 'UINT32', 'user id'),
  field('user.name', 'CHARBUF', 'user name'),
  field('user.homedir', 'CHARBUF', 'home directory'),
  field('user.shell', 'CHARBUF', 'login shell'),
  field('user.loginuid', 'INT64', 'user id at login, kept through sudo; -1 if nobody logged in'),
  field('user.loginname', 'CHARBUF', 'user name at login'),
  field('group.gid', 'UINT32', 'group id'),
  field('group.name', 'CHARBUF', 'group name'),
];
