// What `./run chaos` does for minutes, for some seconds: tasks and servers end in every way while calls run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chaos } from '../trials/chaos.mjs';

test('no call runs twice, and none is lost without a word, while tasks and servers end', async (t) => {
  const { problems, calls, answered, unknown, blows } = await chaos(t, { seconds: 20, clients: 16 });
  t.diagnostic(`${calls} calls, ${answered} answered, ${unknown} with an unknown end, ${blows} blows`);
  assert.deepEqual(problems.slice(0, 5), []);
  assert.ok(answered > 100, `${answered} answered`);
});
