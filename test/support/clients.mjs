// Real MCP clients, each reduced to: connect, list tools, call a tool, close.

import {
  Client as ClientV2, StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  StreamableHTTPClientTransport as TransportV1,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { execute, packages } from './berth.mjs';

const info = { name: 'berth-test-client', version: '1.0.0' };

/// Name → function that connects to a URL, with header fields of its own, and gives an SDK client.
export const sdkClients = {
  'SDK 1.x': (url, headers) => connect(new ClientV1(info), transport(TransportV1, url, headers)),
  'SDK 2.x legacy': (url, headers) => connect(new ClientV2(info), transport(TransportV2, url, headers)),
  'SDK 2.x auto': (url, headers) => connectV2(url, 'auto', headers),
  'SDK 2.x pinned modern': (url, headers) => connectV2(url, { pin: '2026-07-28' }, headers),
};

const transport = (Transport, url, headers = {}) => new Transport(new URL(url), { requestInit: { headers } });
const connectV2 = (url, mode, headers) =>
  connect(new ClientV2(info, { versionNegotiation: { mode } }), transport(TransportV2, url, headers));

async function connect(client, transport) {
  await client.connect(transport);
  client.finish = async () => {
    // Ends a session as a tidy client does; modern transports have none.
    if (transport.sessionId) await transport.terminateSession();
    await client.close();
  };
  return client;
}

/// What to call on each server, and how to know a right answer.
export const calls = {
  everything: { tool: 'echo', arguments: { message: 'hello' }, right: /hello/ },
  filesystem: { tool: 'list_allowed_directories', arguments: {}, right: /Allowed directories/ },
  memory: { tool: 'read_graph', arguments: {}, right: /entities/ },
  'sequential-thinking': {
    tool: 'sequentialthinking',
    arguments: { thought: 'one', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 },
    right: /thoughtNumber/,
  },
  workspace: { tool: 'whoami', arguments: {}, right: /zone/ },
};

export function isRight(result, call) {
  return !result.isError && call.right.test(JSON.stringify(result));
}

/// Connects `connects` times, `parallel` at once, and calls the tool `callsEach` times on each connection.
/// Counts what succeeded and keeps the first few problems.
export async function connectAndCall(connectTo, url, call, amounts = {}) {
  const { connects = 100, callsEach = 10, parallel = 10 } = amounts;
  const outcome = { connected: 0, answered: 0, problems: [] };
  let next = 0;
  async function worker() {
    while (next++ < connects) {
      let client;
      try {
        client = await connectTo(url);
        outcome.connected += 1;
        for (let i = 0; i < callsEach; ++i) {
          const result = await client.callTool({ name: call.tool, arguments: call.arguments });
          if (isRight(result, call)) outcome.answered += 1;
          else outcome.problems.push(JSON.stringify(result).slice(0, 300));
        }
        await client.finish();
      } catch (error) {
        outcome.problems.push(String(error.stack ?? error).slice(0, 500));
        await client?.close().catch(() => {});
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker));
  outcome.problems = outcome.problems.slice(0, 3);
  return outcome;
}

/// A clean environment for a client program: nothing of ours, and the service's authority trusted.
export function clientEnvironment(home, authority, more = {}) {
  return {
    PATH: process.env.PATH, HOME: home, TERM: 'dumb', NO_COLOR: '1',
    ...(authority ? { NODE_EXTRA_CA_CERTS: authority } : {}), ...more,
  };
}

/// The Inspector's command line: lists the tools or calls one. The parsed JSON it prints.
export async function inspector(url, era, words, { home, authority }) {
  const script = join(packages, '@modelcontextprotocol/inspector/clients/launcher/build/index.js');
  const fixed = ['--cli', url, '--transport', 'http', '--protocol-era', era, '--format', 'json'];
  const args = [script, ...fixed, ...words];
  const env = clientEnvironment(home, authority);
  const { code, out, err } = await execute(process.execPath, args, { cwd: home, env });
  if (code !== 0) throw new Error(`the inspector ended with ${code}: ${err || out}`);
  return JSON.parse(out);
}

/// An SDK client behind mcp-remote, which speaks stdio to it and HTTP to the URL.
export async function mcpRemote(url, { home, authority, headers = {} }) {
  const script = join(packages, 'mcp-remote/dist/proxy.js');
  const given = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}:${value}`]);
  mkdirSync(home, { recursive: true });
  return connect(new ClientV1(info), new StdioV1({
    command: process.execPath, args: [script, url, '--transport', 'http-only', ...given],
    env: clientEnvironment(home, authority), stderr: 'ignore',
  }));
}

// --- Claude Code -----------------------------------------------------------------------------------------

export function claudeProgram() {
  const folder = join(packages, '@anthropic-ai');
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder).map((name) => join(folder, name, 'claude')).find((file) => existsSync(file));
}

export function claude(args, { home, authority, more = {} }) {
  mkdirSync(home, { recursive: true });
  const env = clientEnvironment(home, authority, {
    CLAUDE_CONFIG_DIR: join(home, '.claude'), DISABLE_TELEMETRY: '1', DISABLE_AUTOUPDATER: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', ...more,
  });
  return execute(claudeProgram(), args, { cwd: home, env });
}

/// A stand-in for the model on loopback: it asks for one tool call a turn, `times` times, and ends. `seen`
/// holds the tool results that came back.
export async function stubModel(tool, input, times) {
  const seen = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    if (!request.url.startsWith('/v1/messages') || request.url.includes('count_tokens')) {
      response.writeHead(200, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ input_tokens: 1, data: [] }));
    }
    const body = JSON.parse(text);
    const last = body.messages?.at(-1)?.content;
    const results = (Array.isArray(last) ? last : []).filter((block) => block.type === 'tool_result');
    seen.push(...results);
    const offered = (body.tools ?? []).some((offer) => offer.name === tool);
    const block = offered && seen.length < times
      ? { type: 'tool_use', id: `toolu_${seen.length}_${Date.now()}`, name: tool, input }
      : { type: 'text', text: 'done' };
    return answer(response, body, block);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, seen, close: () => server.close() };
}

function answer(response, { model, stream }, block) {
  const stop_reason = block.type === 'tool_use' ? 'tool_use' : 'end_turn';
  const message = {
    id: `msg_${Date.now()}`, type: 'message', role: 'assistant', model, content: [], stop_reason: null,
    stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 },
  };
  if (!stream) {
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ ...message, content: [block], stop_reason }));
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (type, data) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  const isTool = block.type === 'tool_use';
  send('message_start', { message });
  const empty = isTool ? { input: {} } : { text: '' };
  send('content_block_start', { index: 0, content_block: { ...block, ...empty } });
  send('content_block_delta', {
    index: 0,
    delta: isTool
      ? { type: 'input_json_delta', partial_json: JSON.stringify(block.input) }
      : { type: 'text_delta', text: block.text },
  });
  send('content_block_stop', { index: 0 });
  send('message_delta', { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 2 } });
  send('message_stop', {});
  return response.end();
}

/// One whole conversation: Claude Code, told by the stand-in to call the tool often. {turns, results}.
export async function claudeCallsTool(url, call, { home, authority }, times = 1) {
  const model = await stubModel(`mcp__demo__${call.tool}`, call.arguments, times);
  try {
    mkdirSync(home, { recursive: true });
    const config = join(home, 'mcp.json');
    writeFileSync(config, JSON.stringify({ mcpServers: { demo: { type: 'http', url } } }));
    const args = ['-p', 'call the tool', '--mcp-config', config, '--strict-mcp-config',
      '--allowedTools', `mcp__demo__${call.tool}`, '--output-format', 'json'];
    const more = {
      ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'stub-not-a-key', ENABLE_TOOL_SEARCH: 'false',
      MCP_CONNECTION_NONBLOCKING: '0',
    };
    const { code, out, err } = await claude(args, { home, authority, more });
    if (code !== 0) throw new Error(`claude -p ended with ${code}: ${err || out}`);
    return { turns: JSON.parse(out).num_turns, results: model.seen.map((result) => JSON.stringify(result)) };
  } finally {
    model.close();
  }
}
