// Clients of the session era in plain HTTP, which see every status and every broken connection.

import http from 'node:http';
import { answerOf, modernBody, modernHeaders, request } from '../support/http.mjs';

const accept = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/// `promise`, or a failure when it has not settled within the time.
export async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, failed) => {
    timer = setTimeout(() => failed(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class Caller {
  /// `headers` go with every request (a key).
  constructor(url, { headers = {}, capabilities = {}, timeout = 90_000 } = {}) {
    Object.assign(this, { url, headers, capabilities, timeout, lastId: 0 });
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  }

  post(body, headers) {
    const all = { ...accept, ...this.headers, ...headers };
    return within(this.timeout, request(this.url, { headers: all, body, agent: this.agent }));
  }

  close() { this.agent.destroy(); }
}

/// tools/call without a session.
export class ModernCaller extends Caller {
  call(name, args) {
    this.lastId += 1;
    const body = modernBody(this.lastId, 'tools/call', { name, arguments: args }, this.capabilities);
    return this.post(body, modernHeaders('tools/call', name));
  }
}

/// tools/call in a session, which is opened when there is none.
export class SessionCaller extends Caller {
  async open() {
    const params = {
      protocolVersion: '2025-11-25', capabilities: this.capabilities,
      clientInfo: this.info ?? { name: 'berth-trials', version: '1' },
    };
    const answer = await this.send('initialize', params);
    if (answer.status !== 200) return answer;
    this.session = {
      'mcp-session-id': answer.headers['mcp-session-id'], 'mcp-protocol-version': '2025-11-25',
    };
    await this.post(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }), this.session);
    return answer;
  }

  send(method, params) {
    this.lastId += 1;
    return this.post(JSON.stringify({ jsonrpc: '2.0', id: this.lastId, method, params }), this.session);
  }

  async call(name, args) {
    if (!this.session) {
      const opened = await this.open();
      if (opened.status !== 200) return opened;
    }
    const answer = await this.send('tools/call', { name, arguments: args });
    if (answer.status === 404) this.session = undefined;
    return answer;
  }
}

/// {text} of a good result, or {error} with everything that was told instead.
export function outcomeOf(answer) {
  const error = `HTTP ${answer.status}: ${answer.text.slice(0, 500) || 'an empty body'}`;
  try {
    const { result } = answerOf(answer);
    return result && !result.isError ? { text: result.content?.[0]?.text } : { error };
  } catch {
    return { error };
  }
}
