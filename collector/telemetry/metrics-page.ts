import { writeFileSync } from 'node:fs';
import { metricsPage } from './metric-table.ts';

writeFileSync(new URL('../../docs/metrics.md', import.meta.url), metricsPage());
