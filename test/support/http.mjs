// Plain HTTP for tests: raw bytes over a socket, and MCP calls of the stateless era without any SDK.

import http from 'node:http';
import net from 'node:net';

/// Whether `bytes` are one whole answer whose length its head tells.
function isWhole(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(bytes.subarray(0, end + 4).toString('latin1'));
  return end >= 0 && length !== null && bytes.length >= end + 4 + Number(length[1]);
}

/// Sends bytes and gives everything that comes back until the answer is whole, the peer closes, or nothing
/// comes for `quiet` ms.
export function exchange(port, bytes, { host = '127.0.0.1', quiet = 1500 } = {}) {
  return new Promise((done, failed) => {
    const parts = [];
    const socket = net.connect(port, host, () => socket.write(bytes));
    socket.setTimeout(quiet, () => socket.destroy());
    socket.on('data', (data) => {
      parts.push(data);
      if (isWhole(Buffer.concat(parts))) socket.destroy();
    });
    socket.on('error', (error) => {
      if (parts.length === 0 && error.code !== 'ECONNRESET') failed(error);
    });
    socket.on('close', () => done(Buffer.concat(parts).toString('utf8')));
  });
}

export const statusOf = (answer) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
export const bodyOf = (answer) => answer.slice(answer.indexOf('\r\n\r\n') + 4);

/// The body of a modern request.
export function modernBody(id, method, params = {}, capabilities = {}) {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': { name: 'berth-test', version: '1' },
  };
  return JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } });
}

export function modernHeaders(method, name) {
  return {
    'content-type': 'application/json', accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(name ? { 'mcp-name': name } : {}),
  };
}

/// One request. {status, headers, text}; rejects on a connection error.
export function request(url, { method = 'POST', headers = {}, body, agent } = {}) {
  return new Promise((done, failed) => {
    const outgoing = http.request(url, { method, headers, agent }, (incoming) => {
      let text = '';
      incoming.on('data', (data) => { text += data; });
      incoming.on('error', failed);
      incoming.on('end', () => done({ status: incoming.statusCode, headers: incoming.headers, text }));
    });
    outgoing.on('error', failed);
    outgoing.end(body);
  });
}

/// The JSON-RPC answer in a body, be it JSON or the last event of a stream.
export function answerOf({ headers, text }) {
  if (!headers['content-type']?.startsWith('text/event-stream')) return JSON.parse(text);
  const data = text.split('\n').filter((line) => line.startsWith('data: {')).at(-1);
  return JSON.parse(data.slice(6));
}

let lastId = 0;

/// A tools/call of the stateless era. Gives the result; throws on any other answer.
export async function callTool(url, name, args, agent) {
  lastId += 1;
  const body = modernBody(lastId, 'tools/call', { name, arguments: args });
  const answer = await request(url, { headers: modernHeaders('tools/call', name), body, agent });
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.text.slice(0, 300)}`);
  const { result, error } = answerOf(answer);
  if (error) throw new Error(`JSON-RPC ${error.code}: ${error.message}`);
  return result;
}

/// Calls without pause on `parallel` kept-alive connections until stop() is awaited: {calls, problems}.
export function load(url, name, args, parallel = 8) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: parallel });
  const outcome = { calls: 0, problems: [] };
  let running = true;
  async function worker() {
    while (running) {
      try {
        await callTool(url, name, args, agent);
        outcome.calls += 1;
      } catch (error) {
        outcome.problems.push(`call ${outcome.calls + 1}: ${error.message}`);
      }
    }
  }
  const workers = Array.from({ length: parallel }, worker);
  return {
    outcome,
    stop: async () => {
      running = false;
      await Promise.all(workers);
      agent.destroy();
      return outcome;
    },
  };
}
