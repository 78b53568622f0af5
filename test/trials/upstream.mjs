// An MCP server of the session era over HTTP, made to break: the answer of a tool call ends after a given
// number of its bytes.

import net from 'node:net';

const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'upstream', version: '1' },
  }),
  'tools/list': () => ({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }),
  'tools/call': ({ arguments: { text } }) => ({ content: [{ type: 'text', text }] }),
};

function head(type, more) {
  return `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nMcp-Session-Id: s\r\n${more}\r\n\r\n`;
}

/// The whole answer as bytes: JSON with a length, or an event stream in chunks with a progress event first.
function written(id, result, kind) {
  const body = JSON.stringify({ jsonrpc: '2.0', id, result });
  if (kind === 'json') return head('application/json', `Content-Length: ${Buffer.byteLength(body)}`) + body;
  const note = JSON.stringify({
    jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'at work' },
  });
  const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  const events = [`id: 1\ndata: ${note}\n\n`, `id: 2\ndata: ${body}\n\n`];
  return head('text/event-stream', 'Transfer-Encoding: chunked') + events.map(chunk).join('') + chunk('');
}

export class BreakingUpstream {
  /// What happens to the answers of tools/call: their kind, and after how many bytes they end.
  kind = 'json';
  end_after = Infinity;
  length = 0;

  async listen() {
    this.server = net.createServer((socket) => this.#serve(socket));
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.url = `http://127.0.0.1:${this.server.address().port}/mcp`;
    return this;
  }

  close() { this.server.close(); }

  #serve(socket) {
    let read = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      read = Buffer.concat([read, data]);
      for (;;) {
        const end = read.indexOf('\r\n\r\n');
        if (end < 0) return;
        const top = read.subarray(0, end).toString('latin1');
        const length = Number(/^content-length: *(\d+)$/im.exec(top)?.[1] ?? 0);
        if (read.length < end + 4 + length) return;
        const body = read.subarray(end + 4, end + 4 + length).toString('utf8');
        read = read.subarray(end + 4 + length);
        this.#answer(socket, top.split(' ')[0], body);
      }
    });
  }

  #answer(socket, verb, body) {
    if (verb !== 'POST') return socket.write('HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n');
    const { id, method, params } = JSON.parse(body);
    if (id === undefined) return socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n');
    if (!answers[method]) {
      const error = { code: -32601, message: 'Method not found' };
      const text = JSON.stringify({ jsonrpc: '2.0', id, error });
      return socket.write(`${head('application/json', `Content-Length: ${text.length}`)}${text}`);
    }
    if (method !== 'tools/call') return socket.write(written(id, answers[method](params), 'json'));
    const bytes = Buffer.from(written(id, answers[method](params), this.kind));
    this.length = bytes.length;
    if (this.end_after >= bytes.length) return socket.write(bytes);
    return socket.write(bytes.subarray(0, this.end_after), () => socket.resetAndDestroy());
  }
}
