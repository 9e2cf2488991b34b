import type { YamlNode } from './yaml.ts';

/** Plugins whose fields and sources this engine has built in, and the versions it is equal to. */
export type PluginVersions = Readonly<Record<string, string>>;

/** @returns below 0 if `a` is older than `b`; undefined if one is no `x.y.z` version */
export function compareVersions(a: string, b: string): number | undefined {
  const left = partsOf(a);
  const right = partsOf(b);
  if (left === undefined || right === undefined) return undefined;
  return left[0]! - right[0]! || left[1]! - right[1]! || left[2]! - right[2]!;
}

function partsOf(version: string): number[] | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$/.exec(version.trim());
  return match?.slice(1).map(Number);
}

/** Says what is wrong with an entry of `required_plugin_versions`; one of the plugin and its alternatives must be there. */
export function requirementMistake(item: YamlNode, plugins: PluginVersions): string | undefined {
  const entries = item.entries;
  if (entries === undefined) return 'a required plugin is not a mapping';
  const alternatives = entries.find(({ key }) => key === 'alternatives')?.value.items ?? [];
  const choices = [item, ...alternatives].map(choiceOf);
  const incomplete = choices.find(({ name, version }) => name === undefined || version === undefined);
  if (incomplete !== undefined) return "a required plugin needs 'name' and 'version'";
  const satisfied = choices.some(({ name, version }) => {
    const loaded = Object.hasOwn(plugins, name!) ? plugins[name!]! : undefined;
    const order = loaded === undefined ? undefined : compareVersions(loaded, version!);
    return order !== undefined && order >= 0;
  });
  if (satisfied) return undefined;
  const wanted = choices.map(({ name, version }) => `${name} (>= ${version})`).join(', ');
  return `plugin requirement not satisfied, must load one of: ${wanted}`;
}

function choiceOf(node: YamlNode): { name: string | undefined; version: string | undefined } {
  const entries = node.entries ?? [];
  const text = (wanted: string) => entries.find(({ key }) => key === wanted)?.value.scalar;
  return { name: text('name'), version: text('version') };
}
