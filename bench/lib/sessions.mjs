// Sessions of the older era, for rivals that know no other.

import { request } from '../../test/support/http.mjs';

const initialize = JSON.stringify({
  jsonrpc: '2.0', id: 0, method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
});
const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/// Opens `count` sessions at `url`; their ids (empty strings where the server gives none).
export async function openSessions(url, count) {
  const ids = [];
  for (let i = 0; i < count; ++i) {
    const answer = await request(url, { headers, body: initialize });
    if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${answer.text.slice(0, 200)}`);
    const id = answer.headers['mcp-session-id'] ?? '';
    const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });
    await request(url, {
      headers: { ...headers, 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' }, body: initialized,
    });
    ids.push(id);
  }
  return ids;
}

/// One echo call in a session; true when the right text came back.
export async function echo(url, id, tool = 'echo') {
  const body = JSON.stringify({
    jsonrpc: '2.0', id: 1, method: 'tools/call',
    params: { name: tool, arguments: { message: 'hello world' } },
  });
  const more = { 'mcp-protocol-version': '2025-11-25', ...(id ? { 'mcp-session-id': id } : {}) };
  const answer = await request(url, { headers: { ...headers, ...more }, body });
  return answer.status === 200 && answer.text.includes('hello world');
}
