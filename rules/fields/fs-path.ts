import { field, PATH } from './field.ts';

/** Fields of the paths that a system call names. */
export const FS_PATH_FIELDS = [
  field('fs.path.name', 'FSPATH', 'resolved path that the call acts on', PATH),
  field('fs.path.nameraw', 'FSPATH', 'path that the call acts on, as the caller wrote it'),
  field('fs.path.source', 'FSPATH', 'resolved path of the source of a rename, link or symlink', PATH),
  field('fs.path.sourceraw', 'FSPATH', 'source path as the caller wrote it'),
  field('fs.path.target', 'FSPATH', 'resolved path of the target of a rename, link or symlink', PATH),
  field('fs.path.targetraw', 'FSPATH', 'target path as the caller wrote it'),
];
