// What a server of the session era tells and asks besides its answers, behind three tasks: updates of
// resources reach their listeners on every task, questions the client that they are for, of either era.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  Client as ClientV2, StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import {
  StreamableHTTPClientTransport as TransportV1,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  ElicitRequestSchema, ListRootsRequestSchema, LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { pause, root, Service, until, yamlList } from '../support/berth.mjs';
import { answerOf, modernBody, modernHeaders, request } from '../support/http.mjs';

const command = yamlList([process.execPath, join(root, 'test/fixtures/node/asking_server.mjs')]);
const spec = (more = '', count = 3) =>
  `name: questions\nserver: {command: ${command}${more}}\ntasks: {count: ${count}, zones: [a, b, c]}\n`;
const text = (result) => result.content[0].text;

let clients = 0;

/// A client of the era that has a user of its name and a root, and notes what it is told.
async function connect(t, era, url, capabilities = { elicitation: {}, roots: { listChanged: true } }) {
  clients += 1;
  const name = `client-${clients}`;
  const told = { updated: 0, logged: [], asked: [] };
  const handlers = {
    elicit: async () => {
      told.asked.push('elicit');
      return { action: 'accept', content: { name } };
    },
    roots: async () => {
      told.asked.push('roots');
      return { roots: [{ uri: `file:///${name}` }] };
    },
    updated: () => { told.updated += 1; },
    logged: ({ params }) => { told.logged.push(params.level); },
  };
  let client;
  if (era === 'legacy') {
    client = new ClientV1({ name, version: '1' }, { capabilities });
    if (capabilities.elicitation) client.setRequestHandler(ElicitRequestSchema, handlers.elicit);
    if (capabilities.roots) client.setRequestHandler(ListRootsRequestSchema, handlers.roots);
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, handlers.updated);
    client.setNotificationHandler(LoggingMessageNotificationSchema, handlers.logged);
    await client.connect(new TransportV1(new URL(url)));
  } else {
    client = new ClientV2({ name, version: '1' },
      { capabilities, versionNegotiation: { mode: { pin: '2026-07-28' } } });
    if (capabilities.elicitation) client.setRequestHandler('elicitation/create', handlers.elicit);
    if (capabilities.roots) client.setRequestHandler('roots/list', handlers.roots);
    client.setNotificationHandler('notifications/resources/updated', handlers.updated);
    await client.connect(new TransportV2(new URL(url)));
  }
  t.after(() => client.close());
  const call = async (tool, args = {}) => text(await client.callTool({ name: tool, arguments: args }));
  return { client, call, told, name };
}

const taskUrls = async (service) =>
  (await service.status()).tasks.map(({ address }) => `http://${address}/mcp`);

test('an update reaches its listener whichever task the change was made through', async (t) => {
  const service = await Service.start(t, spec());
  const urls = await taskUrls(service);
  for (const era of ['legacy', 'modern']) {
    await t.test(era, async (inner) => {
      const listener = await connect(inner, era, urls[0]);
      if (era === 'legacy') await listener.client.subscribeResource({ uri: `x:${era}` });
      else await listener.client.listen({ resourceSubscriptions: [`x:${era}`] });
      for (const url of urls) {
        for (const changer of ['legacy', 'modern']) {
          const other = await connect(inner, changer, url);
          await until('the process is asked to tell', async () =>
            (await other.call('touch', { uri: `x:${era}` })) === 'told');
          await until('the listener is told', () => listener.told.updated > 0);
          await pause(300);
          assert.equal(listener.told.updated, 1, `${changer} at ${url}`);
          listener.told.updated = 0;
        }
      }
    });
  }
});

test('a server asks for roots outside a call, and hears the client itself', async (t) => {
  const service = await Service.start(t, spec(', isolation: session'));
  const url = await service.url();
  const one = await connect(t, 'legacy', url);
  const other = await connect(t, 'legacy', url);
  for (const { call, name } of [one, other]) {
    await until('it was asked', async () => (await call('rooted')) === `file:///${name}`);
  }
  await one.client.sendRootsListChanged();
  await until('it is asked again', () => one.told.asked.length === 2);
  const without = await connect(t, 'legacy', url, {});
  assert.equal(await without.call('rooted'), 'never asked');
});

test('the first question reaches its asker while another client has a call under way', async (t) => {
  const service = await Service.start(t, spec('', 1));
  const url = await service.url();
  for (const era of ['legacy', 'modern']) {
    const busy = await connect(t, 'legacy', url);
    const asker = await connect(t, era, url);
    const slow = busy.call('slow', { ms: 11_000 });
    await pause(300);
    assert.equal(await asker.call('ask'), `accept ${asker.name}`);
    assert.equal(await slow, 'slept');
  }
  await t.test('and is known to come after a restart', async (inner) => {
    assert.equal((await service.berth('restart')).code, 0);
    await service.healthy(1);
    const busy = await connect(inner, 'legacy', url);
    const asker = await connect(inner, 'modern', url);
    const slow = busy.call('slow', { ms: 8_000 });
    await pause(300);
    const began = performance.now();
    assert.equal(await asker.call('ask'), `accept ${asker.name}`);
    assert.ok(performance.now() - began < 5_000, 'it need not wait for the other call');
    await slow;
  });
});

test('two questions at once are one round, and an undeclared capability is named', async (t) => {
  const service = await Service.start(t, spec());
  const url = await service.url();
  const asker = await connect(t, 'modern', url);
  assert.equal(await asker.call('two'), `${asker.name} ${asker.name}`);
  const bare = (tool, capabilities) => request(url, {
    headers: modernHeaders('tools/call', tool),
    body: modernBody(1, 'tools/call', { name: tool, arguments: {} }, capabilities),
  });
  const round = answerOf(await bare('two', { elicitation: {} })).result;
  assert.equal(Object.keys(round.inputRequests).length, 2);
  const refused = await bare('ask', {});
  assert.equal(refused.status, 400);
  const { code, data } = answerOf(refused).error;
  assert.deepEqual({ code, data }, { code: -32021, data: { requiredCapabilities: { elicitation: {} } } });
  const mute = await connect(t, 'legacy', url, {});
  assert.match(await mute.call('ask'), /the client has not declared/);
});

test('a line that a server logs after its calls arrives where the level was asked for', async (t) => {
  const service = await Service.start(t, spec());
  const url = await service.url();
  const quiet = await connect(t, 'legacy', url);
  const loud = await connect(t, 'legacy', url);
  await loud.client.setLoggingLevel('debug');
  await loud.call('later', { ms: 200 });
  await until('it is told', () => loud.told.logged.length > 0);
  assert.deepEqual(loud.told.logged, ['debug']);
  assert.deepEqual(quiet.told.logged, []);
});
