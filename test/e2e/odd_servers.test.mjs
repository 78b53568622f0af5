// Servers that do what is valid, or common in the wild, and odd: they work behind Berth as they do alone.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, Service, until, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';
import { answerOf, callTool, modernBody, modernHeaders, request } from '../support/http.mjs';

const odd = join(root, 'test/fixtures/node/odd_server.mjs');
const service = (t, ...words) => Service.start(
  t, `name: odd\nserver: {command: ${yamlList([process.execPath, odd, ...words])}}\ntasks: {count: 1}\n`);

const textOf = ({ content }) => content[0].text;

/// A tools/call that wants progress. {status, answer}.
async function callWithProgress(url, name) {
  const body = JSON.parse(modernBody(7, 'tools/call', { name, arguments: {} }));
  body.params._meta.progressToken = 'p';
  const headers = modernHeaders('tools/call', name);
  const answer = await request(url, { headers, body: JSON.stringify(body) });
  return { status: answer.status, text: answer.text, answer: answerOf(answer) };
}

test('answers that are odd but mean something are understood', async (t) => {
  const url = await (await service(t, 'legacy')).url();
  assert.equal(textOf(await callTool(url, 'text_id', {})), 'fine');
  assert.equal(textOf(await callTool(url, 'latin1', {})), 'caf\ufffd');
  assert.equal(textOf(await callTool(url, 'printed', {})), 'fine');
  const escaped = await callWithProgress(url, 'escaped');
  assert.match(escaped.text, /"progressToken":"p"/);
  const burst = await callWithProgress(url, 'burst');
  assert.equal(textOf(burst.answer.result), 'fine', 'a result outlives a flood of progress');
});

test('an answer that cannot be used ends its call at once, and a server\'s own -32601 is one', async (t) => {
  const url = await (await service(t, 'legacy')).url();
  const began = performance.now();
  const broken = await callWithProgress(url, 'broken');
  assert.equal(broken.answer.error.code, -32603);
  assert.ok(performance.now() - began < 5_000);
  const unknown = await callWithProgress(url, 'no_such_tool');
  assert.deepEqual([unknown.status, unknown.answer.error.code], [200, -32601]);
});

test('what belongs to no call, reasons and refusals pass through', async (t) => {
  const url = await (await service(t, 'legacy')).url();
  const client = await sdkClients['SDK 1.x'](url);
  const told = [];
  client.fallbackNotificationHandler = async ({ method, params }) => told.push([method, params]);
  await client.notification({ method: 'vendor/saved', params: { x: 1 } });
  const leaving = new AbortController();
  const left = client.callTool({ name: 'hang', arguments: {} }, undefined, { signal: leaving.signal });
  setTimeout(() => leaving.abort('changed my mind'), 500);
  await assert.rejects(left);
  await until('the server heard both', async () => {
    const heard = JSON.parse(textOf(await client.callTool({ name: 'heard', arguments: {} })));
    return heard.includes('saved: {"x":1}') && heard.includes('cancelled: changed my mind');
  });
  await client.callTool({ name: 'announce', arguments: {} });
  await until('the client heard', () => told.length > 0);
  assert.deepEqual(told, [['vendor/step', { n: 1 }]]);
  await assert.rejects(client.subscribeResource({ uri: 'x:none' }), /There is no x:none\./);
  await client.finish();
});

test('a server of 2026-07-28 alone that starts slowly is found out, and remembered', async (t) => {
  const slow = await service(t, 'modern', '4');
  const url = await slow.url();
  assert.equal(textOf(await callTool(url, 'any', {})), 'fine');
  const logs = (await slow.berth('logs')).out;
  assert.match(logs, /server_era.*modern/);
  assert.doesNotMatch(logs, /server_ended/);
  assert.match(readFileSync(join(slow.folder, '.berth/eras'), 'utf8'), /^[0-9a-f]{16} modern \d+\n$/);
});
