import { accessSync, constants, statSync } from 'node:fs';
import { type Config, k8sAuditReceiver } from '../../collector/config/config.ts';
import { absent, type Check, notOk, ok } from './check.ts';

const PAGE = 'docs/kubernetes-audit.md';

/** The audit logs of Kubernetes that a configuration names. */
export function checkAuditLogs(config: Config): Check[] {
  return (k8sAuditReceiver(config)?.files ?? []).map((path) => checkLog(path));
}

function checkLog(path: string): Check {
  const name = 'audit log';
  try {
    const found = statSync(path);
    if (!found.isFile()) return notOk(name, `${path} is not a file`, 'name the file in receivers.k8s_audit.files');
    accessSync(path, constants.R_OK);
    return ok(name, `${path}, last written to at ${found.mtime.toISOString()}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const remedy = `it is waited for; ${PAGE} tells how the API server is made to write it`;
    if (code === 'ENOENT') return absent(name, `${path} is not there yet`, remedy);
    return notOk(name, `${path} cannot be read (${code})`, 'let the user that runs Shikra read it');
  }
}
