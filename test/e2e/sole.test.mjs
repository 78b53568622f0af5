// `isolation: service`: a server that cannot run twice (it holds a port) has one process behind three tasks.
// Clients of both eras reach it through every task, and when its task goes, the next one starts it.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';
import { answerOf, modernBody, modernHeaders, request } from '../support/http.mjs';

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

async function start(t, more = '') {
  const ledger = join(temporaryFolder(t, 'sole-ledger'), 'ledger');
  writeFileSync(ledger, '');
  const script = join(root, 'test/fixtures/node/sole_server.mjs');
  const command = yamlList([process.execPath, script, String(await freePort()), ledger]);
  const service = await Service.start(t,
    `name: sole\nserver: {command: ${command}, isolation: service${more}}\n` +
    'tasks: {count: 3, zones: [a, b, c], drain_timeout: 10s}\n');
  const lines = () => readFileSync(ledger, 'utf8').split('\n').filter(Boolean);
  const starts = () => lines().map((line) => line.split(' ')[0]);
  return { service, starts, url: await service.url() };
}

const noticeOf = (result) => result._meta?.['berth/notice'];
const holderOf = async (service) => until('a task has the process', async () => {
  const { tasks } = await service.status();
  const awake = tasks.filter(({ servers: [server] }) => server !== undefined && !server.rests);
  return awake.length === 1 && awake[0];
});

/// A call in the stateless era, straight to one task.
async function callAt(task, name, args = {}) {
  const answer = await request(`http://${task.address}/mcp`, {
    headers: modernHeaders('tools/call', name),
    body: modernBody(1, 'tools/call', { name, arguments: args }),
  });
  assert.equal(answer.status, 200, answer.text);
  return answerOf(answer).result;
}

test('everybody reaches the one process through every task', async (t) => {
  const { service, starts, url } = await start(t);
  const { tasks } = await service.status();
  let expected = 0;
  const pids = new Set();
  const check = ({ structuredContent: { calls, pid } }) => {
    expected += 1;
    assert.equal(calls, expected);
    pids.add(pid);
  };
  for (let round = 0; round < 5; round += 1) {
    for (const task of tasks) check(await callAt(task, 'count'));
  }
  for (const connectTo of Object.values(sdkClients)) {
    const client = await connectTo(url);
    for (let i = 0; i < 20; i += 1) check(await client.callTool({ name: 'count', arguments: {} }));
    await client.finish();
  }
  assert.equal(pids.size, 1);
  assert.deepEqual(starts(), ['began']);
  const { id } = await holderOf(service);
  const { out } = await service.berth('status');
  assert.match(out, new RegExp(`its one process is in task ${id} \\(isolation: service\\)`));

  await t.test('notifications that are none of MCP reach it, too', async () => {
    const headers = { 'content-type': 'application/json', 'mcp-protocol-version': '2026-07-28' };
    for (const task of tasks) {
      const body = { jsonrpc: '2.0', method: 'vendor/note', params: { value: `through ${task.id}` } };
      const sent = await request(`http://${task.address}/mcp`, { headers, body: JSON.stringify(body) });
      assert.equal(sent.status, 202, sent.text);
      assert.deepEqual((await callAt(task, 'noted')).structuredContent, { noted: `through ${task.id}` });
    }
  });
});

test('it moves when its task is killed, and every client is told', async (t) => {
  const { service, starts, url } = await start(t);
  const clients = {};
  for (const [name, connectTo] of Object.entries(sdkClients)) {
    clients[name] = await connectTo(url, { 'berth-client': name.replaceAll(' ', '-') });
    await clients[name].callTool({ name: 'count', arguments: {} });
  }
  const holder = await holderOf(service);
  process.kill(holder.pid, 'SIGKILL');
  await until('the front door has let go of it', async () =>
    !(await service.status()).tasks.some(({ pid }) => pid === holder.pid));
  const pids = new Set();
  for (const [name, client] of Object.entries(clients)) {
    const first = await client.callTool({ name: 'count', arguments: {} });
    assert.match(noticeOf(first) ?? 'nothing was said', /lost/, name);
    const second = await client.callTool({ name: 'count', arguments: {} });
    assert.equal(noticeOf(second), undefined, `${name} is told once`);
    pids.add(second.structuredContent.pid);
    await client.finish();
  }
  assert.equal(pids.size, 1);
  assert.deepEqual(starts(), ['began', 'began'], 'never two at once');
});

test('a restart moves it under calls that come all the time', async (t) => {
  const { service, starts, url } = await start(t);
  let running = true;
  let calls = 0;
  const caller = async () => {
    while (running) {
      const answer = await request(url, {
        headers: modernHeaders('tools/call', 'wait'),
        body: modernBody(1, 'tools/call', { name: 'wait', arguments: { ms: 30 } }),
      });
      assert.equal(answer.status, 200, answer.text);
      assert.ok(answerOf(answer).result, answer.text);
      calls += 1;
    }
  };
  const callers = Promise.all([caller(), caller(), caller()]);
  try {
    const { code, out, err } = await service.berth('restart');
    assert.equal(code, 0, out + err);
    await service.healthy(3);
    const before = calls;
    await until('calls go on', () => calls > before + 10);
  } finally {
    running = false;
    await callers;
  }
  assert.ok(starts().length >= 2);
  assert.ok(!starts().includes('taken'), starts().join());
});
