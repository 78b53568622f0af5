// A program built with sanitizers, whose clients leave, whose server dies and whose upstream breaks after
// every boundary of what was to be written, and after random bytes of it. What must hold: no sanitizer has a
// word to say, no task ends, and a whole exchange is answered as before.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { pause, root, Service, temporaryFolder, yamlList } from '../support/berth.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';
import { ModernCaller, outcomeOf, within } from './sessions.mjs';
import { BreakingUpstream } from './upstream.mjs';

const server = join(root, 'test/fixtures/node/ledger_server.mjs');
const randomCuts = 64;
const sizes = [0, 1, 100, 4_000, 20_000, 70_000];
const random = (below) => Math.floor(Math.random() * below);
const pick = (list) => list[random(list.length)];

// ---- What is exchanged

/// One request: {bytes, boundaries}; a boundary is where a program that writes in parts may stop.
function written(path, headers, body) {
  const fields = { host: 'localhost', 'content-length': Buffer.byteLength(body), ...headers };
  const head = `POST ${path} HTTP/1.1\r\n` +
    `${Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const bytes = Buffer.from(head + body);
  const ends = [head.indexOf('\r\n'), head.length - 2, head.length, head.length + 1, bytes.length - 1];
  return { bytes, boundaries: [...ends, bytes.length] };
}

const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

const kinds = {
  'a call': (path, size) =>
    written(path, modernHeaders('tools/call', 'echo'),
      modernBody(1, 'tools/call', { name: 'echo', arguments: { text: 'x'.repeat(size) } })),
  'a call of new capabilities': (path, size, n) =>
    written(path, modernHeaders('tools/call', 'echo'),
      modernBody(1, 'tools/call', { name: 'echo', arguments: { text: 'x'.repeat(size) } },
        { extensions: { [`x/${n % 8}`]: {} } })),
  'a list': (path) => written(path, modernHeaders('tools/list'), modernBody(1, 'tools/list')),
  'a discovery': (path) => written(path, modernHeaders('server/discover'), modernBody(1, 'server/discover')),
  'a stream of changes': (path) =>
    written(path, modernHeaders('subscriptions/listen'),
      modernBody(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } })),
  'the beginning of a session': (path) => written(path, json, JSON.stringify({
    jsonrpc: '2.0', id: 1, method: 'initialize',
    params: {
      protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'boundaries', version: '1' },
    },
  })),
  'a call in a session that is not': (path, size) => written(path, { ...json, 'mcp-session-id': 'gone' },
    JSON.stringify({
      jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', pad: 'x'.repeat(size) },
    })),
};

// ---- Who breaks off

/// Sends `bytes` up to `until`, waits for `answered` bytes of the answer, and leaves: by an end or a reset.
function leave(port, bytes, until, answered) {
  return new Promise((done) => {
    let got = 0;
    const socket = net.connect(port, '127.0.0.1');
    const go = () => (random(2) === 0 ? socket.destroy() : socket.resetAndDestroy());
    socket.on('error', () => {});
    socket.on('close', done);
    socket.on('data', (data) => {
      got += data.length;
      if (got >= answered) go();
    });
    socket.write(bytes.subarray(0, until), () => {
      if (answered === 0) go();
    });
    socket.setTimeout(100, go);
  });
}

/// Clients leave in their requests and in what is answered.
async function clientsLeave({ port, exchanges, cut }) {
  for (let n = 0; n < exchanges; ++n) {
    const path = pick(['/child/mcp', '/up/mcp']);
    const { bytes, boundaries } = pick(Object.values(kinds))(path, pick(sizes), n);
    const inRequest = [...boundaries, ...Array.from({ length: randomCuts / 2 }, () => random(bytes.length))];
    const inAnswer = [1, 17, 200, ...Array.from({ length: randomCuts / 2 }, () => 1 + random(1_200))];
    const cuts = [...inRequest.map((at) => [at, 0]), ...inAnswer.map((at) => [bytes.length, at])];
    // Several at once, so that what one leaves behind meets what another does.
    for (let at = 0; at < cuts.length; at += 8) {
      const some = cuts.slice(at, at + 8);
      await Promise.all(some.map(([until, answered]) => leave(port, bytes, until, answered)));
    }
    cut(cuts.length);
  }
}

/// The upstream resets its answers; its client gets an answer all the same, be it an error.
async function upstreamBreaks({ url, exchanges, cut, upstream, problems }) {
  const caller = new ModernCaller(`${url}/up/mcp`, { timeout: 30_000 });
  for (const kind of ['json', 'stream']) {
    Object.assign(upstream, { kind, end_after: Infinity });
    await caller.call('echo', { text: 'to learn the length' });
    const { length } = upstream;
    const every = Array.from({ length }, (_, at) => at);
    const cuts = exchanges >= 100 ? every : Array.from({ length: exchanges }, () => random(length));
    for (const end of cuts) {
      upstream.end_after = end;
      const answer = await caller.call('echo', { text: 'to learn the length' });
      if (!answer.status) problems.push(`an upstream that ended after ${end} bytes: no answer`);
    }
    cut(cuts.length);
  }
  upstream.end_after = Infinity;
  caller.close();
}

/// The answer once a server that kept dying is started again, which takes longer each time.
async function startedAnew(call) {
  for (;;) {
    const answer = await call();
    if (answer.status !== 503) return answer;
    await pause(200);
  }
}

/// The server process ends inside its answer; it is started again and again.
async function serverDies({ url, exchanges, cut, problems }) {
  const callers = Array.from({ length: 4 }, () => new ModernCaller(`${url}/child/mcp`, { timeout: 60_000 }));
  for (let n = 0; n < exchanges / 8; ++n) {
    await Promise.all(callers.map(async (caller) => {
      const told = outcomeOf(await caller.call('die', { bytes: random(110) }));
      const isOwn = told.text === undefined || /last words/.test(told.text);
      if (!isOwn) problems.push(`a server that had ended said ${told.text}`);
    }));
    cut(callers.length);
  }
  for (const caller of callers) caller.close();
}

// ---- The trial

/// {cuts, problems}. `program` is one built with sanitizers.
export async function boundaries(t, { exchanges = 200, say = () => {} }) {
  const reports = temporaryFolder(t, 'reports');
  const upstream = await new BreakingUpstream().listen();
  t.after(() => upstream.close());
  const ledger = join(reports, 'ledger');
  const command = yamlList([process.execPath, server, ledger]);
  const yaml = `name: boundaries\nservers:\n  child: {command: ${command}}\n` +
    `  up: {url: ${JSON.stringify(upstream.url)}}\ntasks: {count: 1, cpu: 2, memory: 8GiB}\n`;
  const told = `log_path=${join(reports, 'report')}`;
  const service = await Service.start(t, yaml, {
    name: 'boundaries', environment: { ASAN_OPTIONS: told, UBSAN_OPTIONS: told, TSAN_OPTIONS: told },
  });
  const base = (await service.url()).replace(/\/[a-z]+\/mcp$/, '');
  const problems = [];
  let cuts = 0;
  const world = {
    url: base, port: Number(new URL(base).port), exchanges, upstream, problems,
    cut: (count) => { cuts += count; },
  };
  for (const [what, break_off] of Object.entries({ clientsLeave, upstreamBreaks, serverDies })) {
    await break_off(world);
    say(`${what}: ${cuts} cuts, ${problems.length} problems`);
    for (const name of ['child', 'up']) {
      const caller = new ModernCaller(`${base}/${name}/mcp`);
      const answer = await within(60_000, startedAnew(() => caller.call('echo', { text: 'whole' })));
      const { text, error } = outcomeOf(answer);
      if (text !== 'whole') problems.push(`${name} after ${what}: ${error ?? text}`);
      caller.close();
    }
  }
  for (const { id, restarts } of (await service.status()).tasks) {
    if (restarts > 0) problems.push(`task ${id} was restarted ${restarts} times`);
  }
  const { ended } = await service.down();
  if (ended?.code !== 0) problems.push(`berth up ended with ${JSON.stringify(ended)}`);
  for (const file of readdirSync(reports).filter((name) => name.startsWith('report'))) {
    problems.push(`${file}: ${readFileSync(join(reports, file), 'utf8').slice(0, 4_000)}`);
  }
  const log = join(service.folder, '.berth/logs');
  for (const file of existsSync(log) ? readdirSync(log) : []) {
    const found = /.*(?:ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer).*/
      .exec(readFileSync(join(log, file), 'utf8'));
    if (found) problems.push(`${file}: ${found[0].slice(0, 2_000)}`);
  }
  return { cuts, problems };
}
