/**
 * The parts of prom-client that are in use. Its index also loads a client for push gateways, and with it TLS: 7 MB of an agent that is promised
 * to stay small.
 */
import { createRequire } from 'node:module';
import type * as PromClient from 'prom-client';

const require = createRequire(import.meta.url);

export const Counter: typeof PromClient.Counter = require('prom-client/lib/counter.js');
export const Gauge: typeof PromClient.Gauge = require('prom-client/lib/gauge.js');
export const Registry: typeof PromClient.Registry = require('prom-client/lib/registry.js');
export const collectDefaultMetrics: typeof PromClient.collectDefaultMetrics = require('prom-client/lib/defaultMetrics.js');

export type Counter<T extends string = string> = PromClient.Counter<T>;
export type Gauge<T extends string = string> = PromClient.Gauge<T>;
export type Registry = PromClient.Registry;
