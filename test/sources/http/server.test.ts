import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpServer } from '../../../collector/sources/http/index.ts';

// What a receiver threw was taken for a sender that went away: the connection was cut, and nobody was told.
test('work that fails is answered 500 with the reason, and told like a refusal', async (t) => {
  const refusals: [status: number, message: string][] = [];
  const server = await HttpServer.open(
    { host: '127.0.0.1', port: 0 },
    {
      key: 'receivers.test',
      mostBodies: 1,
      mostConnections: 4,
      routes: [
        {
          path: '/work',
          contentTypes: ['text/plain'],
          gzip: false,
          maxBytes: 100,
          tooLarge: { what: 'a text', remedy: 'send less' },
          take: async (body) => {
            if (body.toString() === 'bad') throw new Error('the disk is on fire');
            return { status: 200, body: 'done' };
          },
          onRefused: (status, message) => refusals.push([status, message]),
        },
      ],
    },
  );
  t.after(() => server.close());
  const post = (body: string) =>
    fetch(`${server.origin}/work`, { method: 'POST', body, headers: { 'content-type': 'text/plain' } });

  const failed = await post('bad');
  assert.equal(failed.status, 500);
  assert.deepEqual(await failed.json(), { error: 'the disk is on fire; send it again later' });
  assert.deepEqual(refusals, [[500, 'the disk is on fire; send it again later']]);
  assert.equal((await post('good')).status, 200, 'the next has its turn');
});
