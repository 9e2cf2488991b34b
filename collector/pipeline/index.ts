export {
  type Chain,
  type ConfiguredExporter,
  type Factories,
  type PipelineConfig,
  type ProcessorContext,
  pipelineConfig,
} from './contracts.ts';
export { createPipeline, type Pipeline } from './pipeline.ts';
export { type AgentIdentity, createResource } from './resource.ts';
export type { PipelineSettings } from './settings.ts';
