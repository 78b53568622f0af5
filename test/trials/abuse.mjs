// Three principals: two make calls, the third does everything that a caller can do within the limits to take
// the service from them. What must hold: no error for the two, tasks within their memory, and most of it
// given back.

import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { descendants, pause, root, Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';
import { ModernCaller, outcomeOf, SessionCaller } from './sessions.mjs';

const memory_mib = 512;
const principals = ['ann', 'ben', 'mallory'];
const keyOf = (principal) => `key-of-${principal}-`.padEnd(40, '0');
const variableOf = (principal) => `KEY_${principal.toUpperCase()}`;
const keyHeader = (principal) => ({ authorization: `Bearer ${keyOf(principal)}` });
const server = join(root, 'test/fixtures/node/ledger_server.mjs');

/// What a process holds, in MiB, without pages of files, which the kernel can drop; pages that several share
/// are counted once among them.
function heldMiB(pid) {
  try {
    return Number(/^Pss_Anon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
  } catch {
    return 0;  // It has ended.
  }
}

/// Keeps at most `most` of what a trick opens; the oldest is dropped for a new one.
class Held {
  constructor(most) { Object.assign(this, { most, open: [] }); }

  add(one) {
    one.on('error', () => {});
    this.open.push(one);
    if (this.open.length > this.most) this.open.shift().destroy();
  }

  drop() { for (const one of this.open.splice(0)) one.destroy(); }
}

const fieldLines = (fields) =>
  Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('');

/// A request of which `bytes` of the body are sent, on a connection of its own; nothing that comes is read.
function rawPost(port, headers, body, bytes = Buffer.byteLength(body)) {
  const lines = { host: `localhost:${port}`, 'content-length': Buffer.byteLength(body), ...headers };
  const socket = net.connect(port, '127.0.0.1');
  socket.pause();
  socket.write(`POST /mcp HTTP/1.1\r\n${fieldLines(lines)}\r\n`);
  socket.write(Buffer.from(body).subarray(0, bytes));
  return socket;
}

const call = (name, args, capabilities) =>
  modernBody(1, 'tools/call', { name, arguments: args }, capabilities);
const headersOf = (name) => ({ ...modernHeaders('tools/call', name), ...keyHeader('mallory') });
const session = (url, more = {}) =>
  Object.assign(new SessionCaller(url, { headers: keyHeader('mallory'), timeout: 20_000, ...more }), more);

/// Name → what is done once, with {url, port, tlsPort, held, n}.
const tricks = {
  'a name of 3.9 MB in a session': async ({ url }) => {
    const caller = session(url, { info: { name: 'n'.repeat(3_900_000), version: '1' } });
    await caller.open();
    caller.close();
  },
  'capabilities that are new each time': async ({ url, n }) => {
    const capabilities = { extensions: { [`x/${n}`]: { pad: 'p'.repeat(10_000) } } };
    const caller = new ModernCaller(url, { headers: keyHeader('mallory'), capabilities, timeout: 20_000 });
    await caller.call('echo', { text: 'x' });
    caller.close();
  },
  'URIs to be told of': async ({ url, n }) => {
    const caller = session(url);
    await caller.open();
    for (let i = 0; i < 20; ++i) {
      await caller.send('resources/subscribe', { uri: `ledger://${n}/${i}/${'u'.repeat(8_000)}` });
    }
    caller.close();
  },
  'a body that stops before its end': async ({ port, held }) =>
    held.add(rawPost(port, headersOf('echo'), call('echo', { text: 'h'.repeat(3_900_000) }), 3_800_000)),
  'an answer of 30 MB, unread': async ({ port, held }) =>
    held.add(rawPost(port, headersOf('big'), call('big', { bytes: 30_000_000 }))),
  'a question that nobody answers': async ({ url }) => {
    const caller = new ModernCaller(url, {
      headers: keyHeader('mallory'), capabilities: { elicitation: {} }, timeout: 20_000,
    });
    await caller.call('ask', {});
    caller.close();
  },
  'sessions that are left': async ({ url }) => {
    for (let i = 0; i < 5; ++i) {
      const caller = session(url);
      await caller.open();
      caller.close();
    }
  },
  'a stream that nobody reads': async ({ url, port, held }) => {
    const caller = session(url);
    await caller.open();
    const lines = {
      host: `localhost:${port}`, accept: 'text/event-stream', ...keyHeader('mallory'), ...caller.session,
    };
    const socket = net.connect(port, '127.0.0.1');
    socket.pause();
    socket.write(`GET /mcp HTTP/1.1\r\n${fieldLines(lines)}\r\n`);
    held.add(socket);
    caller.close();
  },
  'TLS records without data': async ({ tlsPort, held }) => {
    const socket = net.connect(tlsPort, '127.0.0.1');
    socket.write(Buffer.from('160301000016030100001603010000', 'hex'));
    socket.write(Buffer.from('1603010200010001fc0303', 'hex'));
    held.add(socket);
  },
  'a head at its limit': async ({ port, held, n }) => {
    const pads = Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`x-pad-${i}`, 'v'.repeat(600)]));
    held.add(rawPost(port, { ...headersOf('echo'), ...pads }, call('echo', { text: String(n) })));
  },
  'a head that trickles': async ({ port, held }) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.write('POST /mcp HTTP/1.1\r\nHost: lo');
    held.add(socket);
  },
};

async function torment(name, world, state) {
  const held = new Held(40);
  for (let n = 0; state.running; ++n) {
    state.tricks += 1;
    // Whatever the service does about it is its own affair.
    await tricks[name]({ ...world, held, n }).catch(() => {});
    await pause(100);
  }
  held.drop();
}

/// Calls without pause but for a breath, and writes down whatever is no answer.
async function bystander(caller, name, state) {
  for (let n = 0; state.running; ++n) {
    const text = `${name}-${n}`;
    const began = performance.now();
    try {
      const told = outcomeOf(await caller.call('echo', { text }));
      if (told.text !== text) state.problems.push(`${text}: ${told.error ?? `answered ${told.text}`}`);
    } catch (error) {
      state.problems.push(`${text}: ${error.message}`);
    }
    state.calls += 1;
    state.slowest_ms = Math.max(state.slowest_ms, Math.round(performance.now() - began));
    await pause(50);
  }
}

/// {calls, tricks, slowest_ms, peak_mib, afterwards_mib, problems}
export async function abuse(t, { seconds, say = () => {} }) {
  const keys = principals.map((name) => `    - {name: ${name}, env: ${variableOf(name)}}`);
  const ledger = join(temporaryFolder(t, 'ledger'), 'ledger');
  const yaml = `name: abuse\nserver: {command: ${yamlList([process.execPath, server, ledger])}}\n` +
    `tasks: {count: 2, memory: ${memory_mib}MiB}\nauth:\n  keys:\n${keys.join('\n')}\n`;
  const environment = Object.fromEntries(principals.map((name) => [variableOf(name), keyOf(name)]));
  const service = await Service.start(t, yaml, { name: 'abuse', environment });
  const url = await service.url();
  const portOf = (address) => Number(new URL(address).port);
  const world = { url, port: portOf(url), tlsPort: portOf(await service.url('https')) };
  const state = { running: true, calls: 0, tricks: 0, slowest_ms: 0, problems: [] };

  const before = (await service.status()).tasks;
  const ownMiB = () => before.map(({ pid }) => heldMiB(pid));
  const wholeMiB = () => before.map(({ pid }) =>
    heldMiB(pid) + descendants(pid).map(heldMiB).reduce((sum, one) => sum + one, 0));
  const atFirst = ownMiB();
  let peak_mib = 0;
  const running = [
    ...['ann', 'ben'].flatMap((name) => [ModernCaller, SessionCaller].map((Kind) => {
      const caller = new Kind(url, { headers: keyHeader(name), timeout: 30_000 });
      return bystander(caller, `${name}-${Kind.name}`, state);
    })),
    ...Object.keys(tricks).map((name) => torment(name, world, state)),
  ];
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    await pause(1_000);
    peak_mib = Math.max(peak_mib, ...wholeMiB());
    if (Math.round(end - performance.now()) % 20_000 < 1_000) {
      say(`${state.calls} calls, ${state.tricks} tricks, ${state.problems.length} problems, ` +
        `tasks hold ${ownMiB().map(Math.round)} MiB, with servers at most ${Math.round(peak_mib)}`);
    }
  }
  state.running = false;
  await Promise.all(running);

  const after = (await service.status()).tasks;
  for (const { id, pid, restarts } of after) {
    const isSame = before.some((one) => one.pid === pid);
    if (restarts > 0 || !isSame) state.problems.push(`task ${id} was restarted`);
  }
  if (peak_mib > memory_mib) {
    state.problems.push(`a task and its servers held ${Math.round(peak_mib)} MiB of ${memory_mib}`);
  }
  const allowed = atFirst.map((mib) => mib + memory_mib / 4);
  await until('the memory given back', () => ownMiB().every((mib, at) => mib <= allowed[at]), 60_000)
    .catch(() => state.problems.push(
      `afterwards tasks hold ${ownMiB().map(Math.round)} MiB, at first ${atFirst.map(Math.round)}`));
  const { calls, tricks: tried, slowest_ms, problems } = state;
  return {
    calls, tricks: tried, slowest_ms, peak_mib: Math.round(peak_mib), at_first_mib: atFirst.map(Math.round),
    afterwards_mib: ownMiB().map(Math.round), problems,
  };
}
