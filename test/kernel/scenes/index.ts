import { TRIGGER } from '../trigger.ts';
import { DESCRIPTORS } from './descriptors.ts';
import { LIVES } from './lives.ts';
import { OPENS } from './opens.ts';
import { PATHS } from './paths.ts';
import { SCALARS } from './scalars.ts';
import { type Expected, errorOf, type Scene } from './scene.ts';
import { SOCKETS } from './sockets.ts';

/** Every event type in at least one scene, and every field of an event in at least one of them: test/kernel/scenes-law.test.ts. */
export const SCENES: readonly Scene[] = [...LIVES, ...OPENS, ...PATHS, ...DESCRIPTORS, ...SOCKETS, ...SCALARS];

/** Who caused it, and what came of it; a scene may know better. */
export const OF_EVERY_EVENT: Readonly<Record<string, Expected>> = {
  'evt.rawres': ({ result }) => result,
  'evt.res': errorOf,
  'proc.name': 'trigger',
  'proc.exepath': TRIGGER,
  'user.uid': 0,
  'container.id': 'host',
};
