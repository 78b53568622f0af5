// Bad input over real sockets: each case has a precise answer, and afterwards everything still works.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service } from '../support/berth.mjs';
import {
  bodyOf, callTool, exchange, modernBody, modernHeaders, request, statusOf,
} from '../support/http.mjs';

const service = {};
before(async () => {
  service.running = await Service.start(undefined,
    'name: bad\nserver: {builtin: workspace}\ntasks: {count: 3, zones: [a, b, c]}\n', { name: 'bad-input' });
  service.url = await service.running.url();
  service.port = Number(new URL(service.url).port);
});
after(() => service.running?.kill());

const post = (body, headers = {}, path = '/mcp') => {
  const all = {
    host: `127.0.0.1:${service.port}`, 'content-type': 'application/json',
    accept: 'application/json, text/event-stream', 'content-length': Buffer.byteLength(body), ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
};

/// A well-formed modern tools/call, with headers replaced or (undefined) left out.
const modernCall = (headers = {}) =>
  post(modernBody(1, 'tools/call', { name: 'whoami', arguments: {} }),
    { ...modernHeaders('tools/call', 'whoami'), ...headers });

const initialize = (version = '2025-11-25') => JSON.stringify({
  jsonrpc: '2.0', id: 1, method: 'initialize',
  params: { protocolVersion: version, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});
const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
const deep = (depth) =>
  `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
const invalidUtf8 = () =>
  Buffer.concat([Buffer.from(post('"  "').slice(0, -3)), Buffer.from([0xff, 0xfe, 0x22])]);

// Name → [bytes, HTTP status, JSON-RPC code or undefined].
const cases = {
  'not HTTP': [() => 'hello\r\n\r\n', 400],
  'a request line without version': [() => 'GET /mcp\r\n\r\n', 400],
  'an unsupported HTTP version': [() => 'GET /mcp HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n', 505],
  'no Host': [() => post(ping, { host: undefined }), 400],
  'a foreign Host (DNS rebinding)': [() => post(ping, { host: 'evil.example' }), 403],
  'a foreign Origin': [() => post(ping, { origin: 'http://evil.example' }), 403],
  'two lengths': [() => post(ping).replace('\r\n\r\n', '\r\ncontent-length: 3\r\n\r\n'), 400],
  'a length and chunks': [() => post(ping, { 'transfer-encoding': 'chunked' }), 400],
  'a length that is no number': [() => post(ping, { 'content-length': '1x' }), 400],
  'a header with a space before its colon': [() => post(ping).replace('accept:', 'accept :'), 400],
  'a folded header': [() => post(ping).replace('accept: ', 'accept:\r\n '), 400],
  'a bad chunk': [
    () => post('zz\r\n', { 'transfer-encoding': 'chunked', 'content-length': undefined }), 400,
  ],
  'a head of 100 kB': [() => post(ping, { 'x-long': 'a'.repeat(100_000) }), 431],
  'two hundred fields': [
    () => post(ping, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, '1']))), 431,
  ],
  'a target of 20 kB': [() => post(ping, {}, `/mcp?${'a'.repeat(20_000)}`), 414],
  'a body announced too large': [() => post('', { 'content-length': 1e9 }), 413],
  'an unknown path': [() => post(ping, {}, '/nowhere'), 404],
  'an unknown server': [() => post(ping, {}, '/nobody/mcp'), 404],
  'an unknown method': [() => `BREW /mcp HTTP/1.1\r\nHost: 127.0.0.1:${service.port}\r\n\r\n`, 405],

  'JSON that ends early': [() => post('{"jsonrpc":"2.0"'), 400, -32700],
  'JSON followed by more': [() => post(`${ping} x`), 400, -32700],
  'invalid UTF-8': [invalidUtf8, 400, -32700],
  'JSON nested 1000 deep': [() => post(deep(1000)), 400, -32700],
  'a number instead of a message': [() => post('7'), 400, -32600],
  'no jsonrpc member': [() => post('{"id":1,"method":"ping"}'), 400, -32600],
  'an id that is an object': [() => post('{"jsonrpc":"2.0","id":{},"method":"ping"}'), 400, -32600],
  'a null id': [() => post('{"jsonrpc":"2.0","id":null,"method":"ping"}'), 400, -32600],
  'a method that is a number': [() => post('{"jsonrpc":"2.0","id":1,"method":7}'), 400, -32600],
  'a wrong content type': [() => post(ping, { 'content-type': 'text/plain' }), 415],
  'an Accept without any form of an answer': [() => modernCall({ accept: 'text/html' }), 406],

  'no version header': [() => modernCall({ 'mcp-protocol-version': undefined }), 400, -32020],
  'a version header unlike the body': [
    () => modernCall({ 'mcp-protocol-version': '2025-11-25' }), 400, -32020,
  ],
  'a method header unlike the body': [() => modernCall({ 'mcp-method': 'tools/list' }), 400, -32020],
  'no method header': [() => modernCall({ 'mcp-method': undefined }), 400, -32020],
  'a name header unlike the body': [() => modernCall({ 'mcp-name': 'other' }), 400, -32020],
  'a name header that is not base64': [() => modernCall({ 'mcp-name': '=?base64?!!?=' }), 400, -32020],
  'an unknown version': [
    () => post(modernBody(1, 'tools/list').replace('2026-07-28', '2031-01-01'),
      { ...modernHeaders('tools/list'), 'mcp-protocol-version': '2031-01-01' }), 400, -32022,
  ],
  'no capabilities in _meta': [
    () => post(modernBody(1, 'tools/list').replace('clientCapabilities', 'nothing'),
      modernHeaders('tools/list')), 400, -32602,
  ],
  'a modern ping': [() => post(modernBody(1, 'ping'), modernHeaders('ping')), 404, -32601],
  'a modern initialize': [() => post(modernBody(1, 'initialize'), modernHeaders('initialize')), 404, -32601],
  'a batch with a modern element': [
    () => post(`[${modernBody(1, 'tools/list')}]`, modernHeaders('tools/list')), 400, -32600,
  ],
  'a requestState made up': [
    () => post(modernBody(1, 'tools/call', { name: 'whoami', arguments: {}, requestState: 'made up' }),
      modernHeaders('tools/call', 'whoami')), 200, -32602,
  ],

  'a session made up': [
    () => post(ping, { 'mcp-session-id': 'made-up', 'mcp-protocol-version': '2025-11-25' }), 404,
  ],
  'a legacy request without a session, which some clients send': [
    () => post(ping, { 'mcp-protocol-version': '2025-11-25' }), 200,
  ],
  'a GET with a session made up': [
    () => `GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:${service.port}\r\nAccept: text/event-stream\r\n` +
      'Mcp-Session-Id: made-up\r\n\r\n', 404,
  ],
  'a DELETE with a session made up': [
    () => `DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1:${service.port}\r\nMcp-Session-Id: made-up\r\n\r\n`, 404,
  ],
};

for (const [name, [bytes, status, code]] of Object.entries(cases)) {
  test(`${name}: ${status}${code ? ` and ${code}` : ''}`, async () => {
    const answer = await exchange(service.port, bytes());
    assert.equal(statusOf(answer), status, answer.slice(0, 400));
    if (code === undefined) return;
    const error = /\{.*\}/s.exec(bodyOf(answer));
    assert.ok(error, answer.slice(0, 400));
    assert.equal(JSON.parse(error[0]).error.code, code, answer.slice(0, 400));
  });
}

test('a legacy session of an unknown version gets the newest legacy one', async () => {
  const answer = await exchange(service.port, post(initialize('1999-01-01')));
  assert.equal(statusOf(answer), 200);
  assert.match(answer, /2025-11-25/);
});

test('a body that never comes is answered or cut, and others are served meanwhile', async () => {
  const stalled = exchange(service.port, post('', { 'content-length': 100 }), { quiet: 1000 });
  assert.ok(await callTool(service.url, 'whoami', {}));
  await stalled;
});

test('clients that vanish in the middle leave nothing behind', async () => {
  const status = await service.running.status();
  const vanish = () => exchange(service.port, post(ping).slice(0, 60), { quiet: 50 });
  await Promise.all(Array.from({ length: 50 }, vanish));
  const later = await service.running.status();
  assert.equal(later.tasks.length, status.tasks.length);
  assert.deepEqual(later.tasks.map((task) => task.restarts), status.tasks.map((task) => task.restarts));
});

test('after all this every task is healthy and answers', async () => {
  await service.running.healthy();
  for (let i = 0; i < 6; ++i) assert.ok(await callTool(service.url, 'whoami', {}));
});

test('a task answers /healthz, /readyz and /metrics', async () => {
  const { tasks } = await service.running.status();
  for (const { address } of tasks) {
    assert.equal((await request(`http://${address}/healthz`, { method: 'GET' })).status, 200);
    assert.equal((await request(`http://${address}/readyz`, { method: 'GET' })).status, 200);
    const metrics = await request(`http://${address}/metrics`, { method: 'GET' });
    assert.match(metrics.text, /^# (HELP|TYPE) berth_/m);
  }
});
