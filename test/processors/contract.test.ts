import { DropRateProcessor, EnrichmentProcessor, PriorityProcessor } from '../../index.ts';
import { processorContract } from '../fixtures/contract.ts';

processorContract('drop_rate', (next, onDrop) => new DropRateProcessor({ onDrop }, next));
processorContract('enrichment', (next, onDrop) => new EnrichmentProcessor({ onDrop }, next));
processorContract('priority', (next, onDrop) => new PriorityProcessor({ onDrop }, next));
