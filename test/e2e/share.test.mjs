// One caller against the others: what a hostile holder of a key does within every documented limit, and
// what another one notices of it, on a task with limited memory (by a control group, where one can be made).

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { answerOf, modernBody, modernHeaders, request } from '../support/http.mjs';

const limit = 400;  // MB
const keys = { hostile: 'hostile-key-0123456789abcdef', good: 'good-key-0123456789abcdef' };
const authorization = (who) => ({ authorization: `Bearer ${keys[who]}` });

// Legacy, so that questions keep a process: big (an answer of so many bytes), ask (elicits), echo.
const server = `
import { createInterface } from 'node:readline';
// Resumes when it is read, so that large answers do not pile up in this process.
const say = (message) => new Promise((done) =>
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n', done));
const text = (value) => ({ content: [{ type: 'text', text: value }] });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params, result } = JSON.parse(line);
  if (method === 'initialize') {
    say({ id, result: { protocolVersion: params.protocolVersion, serverInfo: { name: 's', version: '1' },
      capabilities: { tools: {}, resources: { subscribe: true } } } });
  } else if (method === 'tools/call') {
    const { name, arguments: given } = params;
    if (name === 'ask') {
      const requestedSchema = { type: 'object' };
      say({ id: 'q' + id, method: 'elicitation/create', params: { message: '?', requestedSchema } });
    } else {
      await say({ id, result: text(name === 'big' ? 'x'.repeat(given.bytes) : 'here') });
    }
  } else if (method === undefined && String(id).startsWith('q')) {
    say({ id: Number(id.slice(1)), result: text('answered') });
  } else if (id !== undefined) {
    say({ id, result: {} });
  }
}
`;

let service;
let url;
let task;
let session;

before(async () => {
  service = new Service(temporaryFolder(undefined, 'share'));
  writeFileSync(join(service.folder, 'server.mjs'), server);
  writeFileSync(join(service.folder, 'berth.yaml'), `
name: share
server: {command: ${yamlList([process.execPath, 'server.mjs'])}, era: legacy}
tasks: {count: 1, zones: [a], memory: ${limit}MB}
auth: {keys: [{name: hostile, env: HOSTILE_KEY}, {name: good, env: GOOD_KEY}]}
`);
  Object.assign(service.environment, { HOSTILE_KEY: keys.hostile, GOOD_KEY: keys.good });
  service.launch();
  await service.healthy();
  url = new URL(await service.url());
  [task] = (await service.status()).tasks;
  session = await initialize('good');
});

after(() => service.kill());

const post = (who, body, headers = {}) =>
  request(url, {
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream',
      ...authorization(who), ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', ...body }),
  });

/// A new legacy session's headers; throws when there is none.
async function initialize(who, capabilities = {}) {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } };
  const { status, headers, text } = await post(who, { id: 1, method: 'initialize', params });
  if (status !== 200) throw new Error(`initialize: HTTP ${status}: ${text}`);
  return { 'mcp-session-id': headers['mcp-session-id'] };
}

/// A modern call; its status.
async function call(who, name, args = {}, capabilities = {}) {
  const headers = { ...modernHeaders('tools/call', name), ...authorization(who) };
  const body = modernBody(1, 'tools/call', { name, arguments: args }, capabilities);
  const answer = await request(url, { headers, body });
  return { status: answer.status, ...answerOf(answer) };
}

const residentMegabytes = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${task.pid}/status`, 'utf8'))[1]) / 1024;

/// The good caller calls until `hostility` is over: {calls, slowest, problems}.
async function bystander(hostility) {
  const seen = { calls: 0, slowest: 0, resident: 0, problems: [] };
  let over = false;
  const done = hostility.finally(() => { over = true; });
  while (!over) {
    const began = performance.now();
    const answer = await call('good', 'echo');
    if (answer.result?.content?.[0].text !== 'here') seen.problems.push(JSON.stringify(answer).slice(0, 300));
    seen.slowest = Math.max(seen.slowest, Math.round(performance.now() - began));
    seen.resident = Math.max(seen.resident, Math.round(residentMegabytes()));
    seen.calls += 1;
    await new Promise((go) => setTimeout(go, 50));
  }
  await done;
  return seen;
}

/// What must hold whatever the hostile one did.
async function unharmed(t, seen) {
  const { calls, slowest, resident } = seen;
  t.diagnostic(`${calls} calls beside it, the slowest took ${slowest} ms; ${resident} MB resident`);
  assert.deepEqual(seen.problems, []);
  assert.ok(seen.calls > 0);
  assert.ok(seen.resident < limit, `${seen.resident} MB`);
  const { tasks } = await service.status();
  assert.equal(tasks[0].pid, task.pid, 'the task has not been replaced');
  assert.equal((await post('good', { id: 2, method: 'ping' }, session)).status, 200, 'the session is there');
}

const givenBack = () => until('memory is given back', () => residentMegabytes() < limit / 3, 15_000);

/// Sends bytes on so many connections and reads nothing; resumes when all are sent, or refused.
async function withoutReading(count, bytes, milliseconds, meanwhile = async () => {}) {
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect(Number(url.port), url.hostname);
    socket.on('error', () => {});
    socket.pause();
    socket.write(bytes);
    return socket;
  });
  await meanwhile();
  await new Promise((go) => setTimeout(go, milliseconds));
  for (const socket of sockets) socket.destroy();
}

const head = (length, more = {}) => {
  const fields = { host: url.host, 'content-length': length, 'content-type': 'application/json',
    accept: 'application/json, text/event-stream', ...authorization('hostile'), ...more };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /mcp HTTP/1.1\r\n${lines.join('')}\r\n`;
};

test('answers of 30 MB that nobody reads', async (t) => {
  const body = modernBody(1, 'tools/call', { name: 'big', arguments: { bytes: 30_000_000 } });
  const bytes = head(body.length, modernHeaders('tools/call', 'big')) + body;
  await unharmed(t, await bystander(withoutReading(24, bytes, 8_000)));
  await givenBack();
  const metrics = (await request(new URL('/metrics', `http://${task.address}`),
    { method: 'GET', headers: { ...authorization('good'), host: url.host } })).text;
  assert.match(metrics, /berth_memory_held_bytes\{kind="answer"\} 0\n/);
  assert.match(metrics, /berth_memory_refused_total\{kind="answer"\} [1-9]|berth_memory_pauses_total [1-9]/);
});

test('bodies of which the end never comes', async (t) => {
  const bytes = head(4_000_000) + '{' + 'a'.repeat(3_900_000);
  await unharmed(t, await bystander(withoutReading(100, bytes, 4_000)));
  await givenBack();
});

test('sessions with all that they may keep', async (t) => {
  const capabilities = { experimental: { ['x'.repeat(15_000)]: {} } };
  const open = async () => {
    for (let i = 0; i < 800; ++i) await initialize('hostile', capabilities);
  };
  await unharmed(t, await bystander(open()));
});

test('questions that nobody answers', async (t) => {
  const ask = async () => {
    for (let i = 0; i < 20; ++i) await call('hostile', 'ask', { i }, { elicitation: {} });
  };
  await ask();
  const seen = await bystander(ask());
  await unharmed(t, seen);
  const own = await call('hostile', 'echo');
  assert.equal(own.result.content[0].text, 'here', 'nor do they stop other calls of the same caller');
});

test('capabilities that change with every session', async (t) => {
  const rotate = async () => {
    for (let i = 0; i < 40; ++i) {
      const rotated = await initialize('hostile', { extensions: { [`x/${i}`]: {} } });
      await post('hostile', { id: 2, method: 'resources/subscribe', params: { uri: 'x:1' } }, rotated);
    }
  };
  await unharmed(t, await bystander(rotate()));
});
