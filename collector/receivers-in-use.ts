import { existsSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { bundledRulesPath } from '../rules/files.ts';
import type { RuleSelection } from '../rules/index.ts';
import type { Component } from './config/component.ts';
import { type Config, receiversInUse } from './config/config.ts';
import {
  BUNDLED_RULES,
  DEFAULT_RULES_FILES,
  type K8sAuditReceiverConfig,
  type KernelReceiverConfig,
} from './config/receivers.ts';
import { findSockets } from './containers/sockets.ts';
import type { AuditCollectorOptions } from './engine/audit-collector.ts';
import type { RulesRequest } from './engine/load-rules.ts';
import type { CollectorOptions } from './engine/messages.ts';
import { ShikraError } from './errors.ts';
import { loadModule } from './lazy.ts';
import type { PlannedReceiver } from './network-receivers.ts';
import type { FalcoHttpReceiverConfig } from './sources/falco-http/config.ts';
import type { GuardConfig, ListenOptions } from './sources/http/index.ts';
import type { AuditWebhookOptions } from './sources/k8s-audit/index.ts';
import type { OtlpReceiverConfig } from './sources/otlp/config.ts';

type Tell = (message: string) => void;
type WebhookConfig = NonNullable<K8sAuditReceiverConfig['webhook']>;

const WEBHOOK = 'receivers.k8s_audit.webhook';
const POSITIONS_FILE = 'k8s_audit.positions.json';
const IN_MEMORY = ':memory:';

/** The receivers that a configuration uses, and what each of them is started with. */
export class ReceiversInUse {
  readonly kernel: Component<KernelReceiverConfig> | undefined;
  readonly audit: Component<K8sAuditReceiverConfig> | undefined;
  readonly #config: Config;

  /** @throws ShikraError CONFIG_INVALID if there are two of a type: both would read the same */
  constructor(config: Config) {
    this.#config = config;
    this.kernel = onlyReceiver<KernelReceiverConfig>(config, 'kernel');
    this.audit = onlyReceiver<K8sAuditReceiverConfig>(config, 'k8s_audit');
  }

  /** What is watched, for people. */
  describe(): string {
    const network = receiversInUse(this.#config)
      .filter(({ type }) => type !== 'kernel' && type !== 'k8s_audit')
      .map(({ id }) => `what comes to ${id}`);
    const watched = [this.kernel && 'system calls', this.audit && 'Kubernetes audit events', ...network];
    return watched.filter((each) => each !== undefined).join(' and ');
  }

  /** What the kernel receiver's rules are read with; asked anew each time, as folders come and go. */
  kernelRules(): RulesRequest {
    const { rules = [] } = this.kernel?.config ?? {};
    return { ...this.#rules(this.#kernelFiles(), rules), source: 'syscall' };
  }

  /** The same for audit events: by the rules of the kernel receiver, where it has none of its own. */
  auditRules(): RulesRequest {
    const rules = this.audit?.config.rules ?? this.kernel?.config.rules ?? [];
    return { ...this.#rules(this.#auditFiles(), rules), source: 'k8s_audit' };
  }

  /** The bundled rules change with the program only. */
  watchedPaths(): string[] {
    const bundled = bundledRulesPath();
    const files = [...(this.kernel ? this.#kernelFiles() : []), ...(this.audit ? this.#auditFiles() : [])];
    return [...new Set(files)].filter((path) => path !== bundled);
  }

  collectorOptions({ config }: Component<KernelReceiverConfig>): CollectorOptions {
    return {
      rules: this.kernelRules(),
      ruleMatching: config.rule_matching,
      ringPreset: config.ring_preset,
      cpusPerRing: config.cpus_per_ring,
      processTableEntries: config.process_table_entries,
      captureEnv: config.capture_env,
      hasContainerEngines: findSockets(config.containers).length > 0,
      containerHoldMillis: config.containers.hold,
      canaryIntervalMillis: config.canary_interval,
      programStatistics: config.program_statistics,
    };
  }

  auditOptions({ config }: Component<K8sAuditReceiverConfig>, tell: Tell): AuditCollectorOptions {
    return {
      files: config.files,
      startAt: config.start_at,
      maxEventBytes: config.max_event_size,
      ruleMatching: config.rule_matching,
      positionsFile: config.positions_file ?? besideStore(this.#config.service.store.path),
      webhook: config.webhook && this.#webhook(config.webhook, tell),
    };
  }

  /** Receivers of what others have detected. @param tell of files that are renewed later and cannot be used. @throws ShikraError CONFIG_INVALID for a file that cannot be read */
  network(tell: Tell): PlannedReceiver[] {
    return receiversInUse(this.#config).flatMap(({ id, type, config }): PlannedReceiver[] => {
      const key = `receivers.${id}`;
      if (type === 'falco_http')
        return [{ id, type, options: this.#falcoHttp(key, config as FalcoHttpReceiverConfig, tell) }];
      return type === 'otlp' ? [{ id, type, options: this.#otlp(key, config as OtlpReceiverConfig, tell) }] : [];
    });
  }

  #falcoHttp(key: string, { path, max_alert_size, ...listen }: FalcoHttpReceiverConfig, tell: Tell) {
    return { key, path, maxAlertBytes: max_alert_size, ...this.#listen(key, listen, tell) };
  }

  #otlp(key: string, { grpc, http, max_request_size }: OtlpReceiverConfig, tell: Tell) {
    return {
      key,
      maxRequestBytes: max_request_size,
      grpc: grpc && this.#listen(`${key}.grpc`, grpc, tell),
      http: http && this.#listen(`${key}.http`, http, tell),
    };
  }

  #webhook({ path, max_batch_size, ...listen }: WebhookConfig, tell: Tell): AuditWebhookOptions {
    return { path, maxBatchBytes: max_batch_size, ...this.#listen(WEBHOOK, listen, tell) };
  }

  /** @param key of the receiver, for messages */
  #listen(
    key: string,
    config: GuardConfig & { readonly host: string; readonly port: number },
    tell: Tell,
  ): ListenOptions {
    const { host, port } = config;
    const { guardOf } = loadModule<typeof import('./sources/http/guard.ts')>('./sources/http/guard', import.meta.url);
    return { host, port, ...guardOf(config, { key, folder: this.#folder, tell }) };
  }

  /** Where relative paths start. */
  get #folder(): string {
    const { file } = this.#config;
    return file === undefined ? process.cwd() : dirname(resolve(file));
  }

  /** A folder that does not exist is empty; a file that does not exist is a mistake that loading reports. */
  #rules(files: readonly string[], rules: readonly unknown[]): Omit<RulesRequest, 'source'> {
    return {
      rulesFiles: files.filter((path) => existsSync(path) || /^\.ya?ml$/.test(extname(path))),
      ruleSelection: rules as readonly RuleSelection[],
      receivers: {
        ...(this.kernel && { syscall: this.#kernelFiles() }),
        ...(this.audit && { k8s_audit: this.#auditFiles() }),
      },
    };
  }

  #kernelFiles(): string[] {
    return this.#ruleFiles(this.kernel?.config.rules_files);
  }

  #auditFiles(): string[] {
    return this.#ruleFiles(this.audit?.config.rules_files ?? this.kernel?.config.rules_files);
  }

  #ruleFiles(files: readonly string[] = DEFAULT_RULES_FILES): string[] {
    return files.map((path) => (path === BUNDLED_RULES ? bundledRulesPath() : resolve(this.#folder, path)));
  }
}

function onlyReceiver<C>(config: Config, type: string): Component<C> | undefined {
  const [first, second] = receiversInUse(config).filter((receiver) => receiver.type === type);
  if (second !== undefined) {
    const both = `${first!.id} and ${second.id}`;
    throw new ShikraError('CONFIG_INVALID', `expected one receiver of type ${type}, got ${both}; put both into one`);
  }
  return first as Component<C> | undefined;
}

function besideStore(store: string): string | undefined {
  return store === IN_MEMORY ? undefined : join(dirname(store), POSITIONS_FILE);
}
