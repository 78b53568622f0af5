// HTTP+SSE of 2024-11-05: clients that know nothing else reach every kind of server over three tasks, and a
// server that knows nothing else is reached by every kind of client.

import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { npmServer, root, Service, until, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';

const everything = npmServer('everything');

async function oldClient(origin, server) {
  const client = new Client({ name: 'old', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { username: 'ada' } }));
  client.ended = new Promise((done) => { client.onclose = client.onerror = done; });
  await client.connect(new SSEClientTransport(new URL(`${origin}/${server}/sse`)));
  return client;
}

function freePort() {
  return new Promise((done) => {
    const listener = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => done(port));
    });
  });
}

/// server-everything over HTTP+SSE alone.
async function oldServer(t) {
  const port = await freePort();
  const [program, ...words] = everything;
  const child = spawn(program, [...words.filter((word) => word !== 'stdio'), 'sse'], {
    env: { ...process.env, PORT: String(port) }, stdio: 'ignore',
  });
  t.after(() => child.kill('SIGKILL'));
  await until('the server listens', () => new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); done(true); });
    socket.on('error', () => done(false));
  }));
  return { child, url: `http://127.0.0.1:${port}/sse` };
}

test('a client that knows HTTP+SSE alone reaches every kind of server, over three tasks', async (t) => {
  const legacy = yamlList([process.execPath, join(root, 'test/fixtures/node/legacy_server.mjs')]);
  const modern = yamlList([process.execPath, join(root, 'test/fixtures/node/modern_server.mjs')]);
  const old = await oldServer(t);
  const service = await Service.start(t, [
    'name: old', 'servers:', `  legacy: {command: ${legacy}, era: legacy}`,
    `  modern: {command: ${modern}, era: modern}`, '  workspace: {builtin: workspace}',
    `  upstream: {url: "${old.url}"}`, 'tasks: {count: 3, zones: [a, b, c]}', '',
  ].join('\n'));
  const { origin } = new URL((await service.status()).urls[0].url);
  const call = (client, name, args = {}, options = {}) =>
    client.callTool({ name, arguments: args }, undefined, options);
  for (const [server, tool, args, right] of [
    ['legacy', 'test_simple_text', {}, /simple text/], ['modern', 'test_simple_text', {}, /simple text/],
    ['workspace', 'whoami', {}, /zone/], ['upstream', 'echo', { message: 'hello' }, /hello/],
  ]) {
    await t.test(server, async () => {
      const client = await oldClient(origin, server);
      assert.ok((await client.listTools()).tools.length > 0);
      // Each POST is a connection of its own to whichever task; the answers come on one stream.
      const results = await Promise.all(Array.from({ length: 20 }, () => call(client, tool, args)));
      for (const result of results) assert.match(JSON.stringify(result), right);
      await client.close();
    });
  }
  await t.test('progress, and a question to the user', async () => {
    const client = await oldClient(origin, 'legacy');
    const seen = [];
    await call(client, 'test_tool_with_progress', {}, { onprogress: ({ progress }) => seen.push(progress) });
    // This client forgets who waits for progress when the result comes in the same breath as the last step.
    assert.deepEqual(seen.slice(0, 2), [0, 50]);
    const asked = await call(client, 'test_elicitation', { message: 'Who?' });
    assert.match(JSON.stringify(asked), /action=accept/);
    await client.close();
  });
  await t.test('its sessions end with their streams', async () => {
    const { tasks } = await service.status();
    await until('no session left', async () => {
      const pages = await Promise.all(tasks.map(({ address }) => fetch(`http://${address}/metrics`)));
      const texts = await Promise.all(pages.map((page) => page.text()));
      return texts.join('').match(/^berth_mcp_sessions\{.*\} [1-9]/m) === null;
    });
  });
  await t.test('a restart answers what runs, and ends the stream', async () => {
    const client = await oldClient(origin, 'legacy');
    const running = call(client, 'test_tool_with_progress');
    const restarted = await service.berth('restart');
    assert.equal(restarted.code, 0, restarted.err);
    assert.equal((await running).isError, undefined);
    await client.ended;
    await client.close();
    const again = await oldClient(origin, 'legacy');
    assert.match(JSON.stringify(await call(again, 'test_simple_text')), /simple text/);
    await again.close();
  });
});

test('a server that knows HTTP+SSE alone is reached by every client, and when it comes back', async (t) => {
  const old = await oldServer(t);
  const service = await Service.start(t,
    `name: old\nserver: {url: "${old.url}"}\ntasks: {count: 2, zones: [a, b]}\n`);
  const url = await service.url();
  for (const [name, connectTo] of Object.entries(sdkClients)) {
    await t.test(name, async () => {
      const client = await connectTo(url);
      const seen = [];
      const result = await client.callTool(
        { name: 'trigger-long-running-operation', arguments: { duration: 0.4, steps: 2 } }, undefined,
        { onprogress: ({ progress }) => seen.push(progress) });
      assert.match(JSON.stringify(result), /completed/);
      if (!name.startsWith('SDK 2')) assert.deepEqual(seen, [1, 2]);
      await client.finish();
    });
  }
});
