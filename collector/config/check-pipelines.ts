import type { Component, ComponentClass, ComponentRegistry, Signal } from './component.ts';
import { suggestion } from './nearest.ts';
import type { KeyPath } from './problem.ts';
import { type LogsPipeline, type MetricsPipeline, type Pipelines, signalOf } from './service.ts';

type Components = Readonly<Record<ComponentClass, Readonly<Record<string, Component>>>>;
type Report = (path: KeyPath, message: string) => void;

interface Joint {
  readonly pipeline: string;
  readonly signal: Signal;
  readonly componentClass: ComponentClass;
  readonly ids: readonly string[];
}

function joints(pipelines: Pipelines): Joint[] {
  return Object.entries(pipelines).flatMap(([pipeline, parts]: [string, LogsPipeline | MetricsPipeline]) => {
    const signal = signalOf(pipeline) as Signal;
    const classes = Object.entries(parts) as [ComponentClass, readonly string[]][];
    return classes.map(([componentClass, ids]) => ({ pipeline, signal, componentClass, ids }));
  });
}

/** Reports each reference that leads nowhere, to a component of another signal, or to one named before. */
export function checkPipelines(
  pipelines: Pipelines,
  components: Components,
  registry: ComponentRegistry,
  report: Report,
) {
  for (const { pipeline, signal, componentClass, ids } of joints(pipelines)) {
    const defined = components[componentClass];
    for (const [index, id] of ids.entries()) {
      const path = ['service', 'pipelines', pipeline, componentClass, index];
      const component = Object.hasOwn(defined, id) ? defined[id] : undefined;
      if (component === undefined) {
        report(path, `\`${id}\` is not defined under \`${componentClass}\`; ${suggestion(id, Object.keys(defined))}`);
      } else if (!signalsOf(component, componentClass, registry).includes(signal)) {
        report(path, `\`${id}\` does not take ${signal}`);
      } else if (ids.indexOf(id) !== index) {
        report(path, `\`${id}\` stands in this list twice`);
      }
    }
  }
}

/** The paths of the components that no pipeline names. */
export function unusedComponents(pipelines: Pipelines, components: Components): KeyPath[] {
  const used = new Set(
    joints(pipelines).flatMap(({ componentClass, ids }) => ids.map((id) => `${componentClass} ${id}`)),
  );
  return Object.entries(components).flatMap(([componentClass, defined]) =>
    Object.keys(defined)
      .filter((id) => !used.has(`${componentClass} ${id}`))
      .map((id) => [componentClass, id]),
  );
}

/** Every component joined to every pipeline that it can stand in. */
export function pipelinesOfAll(components: Components, registry: ComponentRegistry): Pipelines {
  const taking = (componentClass: ComponentClass, signal: Signal) =>
    Object.values(components[componentClass])
      .filter((component) => signalsOf(component, componentClass, registry).includes(signal))
      .map(({ id }) => id);
  return {
    logs: {
      receivers: taking('receivers', 'logs'),
      processors: taking('processors', 'logs'),
      exporters: taking('exporters', 'logs'),
    },
    metrics: { exporters: taking('exporters', 'metrics') },
  };
}

function signalsOf(
  { type }: Component,
  componentClass: ComponentClass,
  registry: ComponentRegistry,
): readonly Signal[] {
  return registry[componentClass][type]?.signals ?? ['logs'];
}
