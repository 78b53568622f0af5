// A task ends without warning, or stops: the clients of its legacy sessions go on with the session they have.
// SDK clients never initialize again by themselves.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandLine, root, Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';
import { answerOf, modernBody, modernHeaders, request } from '../support/http.mjs';
import { BreakingUpstream } from '../trials/upstream.mjs';

const ledgerServer = join(root, 'test/fixtures/node/ledger_server.mjs');
const notice = 'berth/notice';

/// Name → {server block of berth.yaml, a call, whether a loss is told}.
const servers = {
  stdio: async (t) => {
    const ledger = join(temporaryFolder(t, 'ledger'), 'ledger');
    writeFileSync(ledger, '');
    return {
      ledger, tells: true, call: { name: 'echo', arguments: { text: 'hello' } },
      block: `{command: ${yamlList([process.execPath, ledgerServer, ledger])}}`,
    };
  },
  native: async () =>
    ({ block: '{builtin: workspace}', call: { name: 'whoami', arguments: {} }, tells: false }),
  url: async (t) => {
    const upstream = await new BreakingUpstream().listen();
    t.after(() => upstream.close());
    const call = { name: 'echo', arguments: { text: 'hello' } };
    return { block: `{url: "${upstream.url}"}`, call, tells: true };
  },
};

async function start(t, kind, more = '') {
  const server = await servers[kind](t);
  const block = server.block.replace(/\}$/, `${more}}`);
  const service = await Service.start(t,
    `name: loss\nserver: ${block}\ntasks: {count: 3, zones: [a, b, c], drain_timeout: 5s}\n`,
    { name: `loss-${kind}` });
  return { ...server, service, url: await service.url() };
}

/// Returns once the service has noticed.
async function killTask(service, { pid }) {
  process.kill(pid, 'SIGKILL');
  await until('the task is gone', async () => {
    return !(await service.status()).tasks.some((task) => task.pid === pid);
  });
}

async function metric(task, name) {
  const { text } = await request(`http://${task.address}/metrics`, { method: 'GET' });
  return Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

const holders = async (service) => {
  const { tasks } = await service.status();
  const counts = await Promise.all(tasks.map((task) =>
    metric(task, 'berth_mcp_sessions').catch(() => 0)));
  return tasks.filter((task, at) => counts[at] > 0);
};

async function adopted(service) {
  const { tasks } = await service.status();
  const counts = await Promise.all(tasks.map((task) =>
    metric(task, 'berth_mcp_sessions_adopted_total').catch(() => 0)));  // it has just ended
  return counts.reduce((sum, count) => sum + count, 0);
}

for (const kind of Object.keys(servers)) {
  for (const era of ['SDK 1.x', 'SDK 2.x legacy']) {
    test(`${era} on a ${kind} server outlives two kills of its task`, async (t) => {
      const { service, url, call, tells } = await start(t, kind);
      const client = await sdkClients[era](url);
      t.after(() => client.close());
      const before = await client.callTool(call);
      assert.equal(before._meta?.[notice], undefined);
      for (const round of [1, 2]) {
        const [owner] = await holders(service);
        await killTask(service, owner);
        const began = performance.now();
        const results = await Promise.all(Array.from({ length: 8 }, () => client.callTool(call)));
        const took = performance.now() - began;
        t.diagnostic(`round ${round}: 8 calls after the kill in ${took.toFixed(0)} ms`);
        assert.ok(results.every(({ isError }) => !isError));
        const told = results.filter((result) => result._meta?.[notice] !== undefined);
        assert.equal(told.length, tells ? 1 : 0, 'the first result alone tells of the loss');
        assert.equal((await holders(service)).length, 1, 'one task has the session');
        if (kind === 'native') assert.ok(took < 1_500, `${took} ms`);
        await service.healthy();
      }
    });
  }
}

test('a running call is lost once and said so, and its session goes on', async (t) => {
  const { service, url, ledger } = await start(t, 'stdio');
  const client = await sdkClients['SDK 1.x'](url);
  t.after(() => client.close());
  const running = client.callTool({ name: 'append', arguments: { id: 'lost', ms: 60_000 } });
  const ended = running.then(() => 'answered', (error) => error.message);
  await until('the call runs', () => readFileSync(ledger, 'utf8').includes('lost'));
  const [owner] = await holders(service);
  await killTask(service, owner);
  assert.match(await ended, /may have run/);
  const next = await client.callTool({ name: 'append', arguments: { id: 'next' } });
  assert.equal(next.content[0].text, 'appended next');
  assert.equal(readFileSync(ledger, 'utf8'), 'lost\nnext\n');
});

test('with a process for each session, one is started for all calls after the loss', async (t) => {
  const { service, url, call } =
    await start(t, 'stdio', ', era: legacy, isolation: session, warm: 0');
  const client = await sdkClients['SDK 1.x'](url);
  t.after(() => client.close());
  await client.callTool(call);
  const [owner] = await holders(service);
  await killTask(service, owner);
  await Promise.all(Array.from({ length: 24 }, () => client.callTool(call)));
  const children = service.tree().filter((pid) => commandLine(pid).includes(ledgerServer));
  assert.equal(children.length, 1);
});

test('sessions outlive a restart and a scale in', async (t) => {
  const { service, url, call } = await start(t, 'stdio');
  const clients = await Promise.all(Array.from({ length: 12 }, () => sdkClients['SDK 1.x'](url)));
  for (const client of clients) t.after(() => client.close());
  const all = () => Promise.all(clients.map((client) => client.callTool(call)));
  await all();
  let running = true;
  const meanwhile = (async () => {
    while (running) await all();
  })();
  assert.equal((await service.berth('restart')).code, 0);
  assert.equal((await service.berth('scale', '2')).code, 0);
  running = false;
  await meanwhile;
  await all();
  assert.ok(await adopted(service) >= 1);
});

test('a session that its client ended is not taken over', async (t) => {
  const { service, url, call } = await start(t, 'stdio');
  const client = await sdkClients['SDK 1.x'](url);
  await client.callTool(call);
  const session = client.transport.sessionId;
  const [owner] = await holders(service);
  await client.finish();
  await killTask(service, owner);
  const headers = {
    'content-type': 'application/json', accept: 'application/json, text/event-stream',
    'mcp-session-id': session,
  };
  const answer = await request(url, { headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
  assert.equal(answer.status, 404);
});

/// Calls a tool of the ledger without pause until stop() is awaited: what became of each call, by its id.
function caller(call, tool, name) {
  const ends = new Map();
  let running = true;
  const work = (async () => {
    for (let i = 0; running; ++i) {
      const id = `${name}-${i}`;
      ends.set(id, await call(tool, { id, text: id, ms: 20 }).then(
        (text) => (text.endsWith(id) ? 'answered' : `odd: ${text}`), ({ message }) => message));
    }
  })();
  return { ends, stop: async () => { running = false; await work; return ends; } };
}

/// Without a session, as a client of its own.
const modernCall = (url, client) => async (name, args) => {
  const headers = { ...modernHeaders('tools/call', name), 'berth-client': client };
  const body = modernBody(1, 'tools/call', { name, arguments: args });
  const answer = await request(url, { headers, body });
  const { result, error, message } = answerOf(answer);
  if (answer.status !== 200 || error) throw new Error(error?.message ?? `HTTP ${answer.status}: ${message}`);
  return result.content[0].text;
};

test('while tasks are killed, calls that read go on, and others are lost once and said', async (t) => {
  const { service, url, ledger } = await start(t, 'stdio', ', era: legacy');
  const sessions = await Promise.all(Array.from({ length: 6 }, () => sdkClients['SDK 1.x'](url)));
  for (const client of sessions) {
    t.after(() => client.close());
    await client.listTools();
  }
  const inSession = (client) => async (name, args) => {
    const result = await client.callTool({ name, arguments: args });
    return result.content[0].text;
  };
  const reading = [], appending = [];
  sessions.forEach((client, i) => {
    const group = i % 2 === 0 ? reading : appending;
    group.push(caller(inSession(client), i % 2 === 0 ? 'echo' : 'append', `s${i}`));
  });
  for (let i = 0; i < 6; ++i) {
    reading.push(caller(modernCall(url, `r${i}`), 'echo', `r${i}`));
    appending.push(caller(modernCall(url, `a${i}`), 'append', `a${i}`));
  }
  for (let round = 0; round < 4; ++round) {
    const { tasks } = await service.status();
    await killTask(service, tasks[round % tasks.length]);
    await service.healthy();
  }
  const all = async (group) => (await Promise.all(group.map(({ stop }) => stop()))).flatMap((m) => [...m]);
  const [read, appended] = [await all(reading), await all(appending)];
  // An answer that had begun is cut with its task, and a client sees its connection end.
  const isCut = (end) => /aborted|terminated/.test(end);
  const lost = appended.filter(([, end]) => /may have run/.test(end) || isCut(end));
  t.diagnostic(`${read.length} calls that read, ${appended.length} others, ${lost.length} of them lost`);
  assert.deepEqual(read.filter(([, end]) => end !== 'answered' && !isCut(end)), []);
  const surprises = appended.filter(([id, end]) => end !== 'answered' && !lost.some(([one]) => one === id));
  assert.deepEqual(surprises, []);
  const runs = new Map();
  for (const id of readFileSync(ledger, 'utf8').split('\n')) runs.set(id, (runs.get(id) ?? 0) + 1);
  runs.delete('');
  assert.deepEqual([...runs].filter(([, count]) => count !== 1), [], 'none ran twice');
  assert.deepEqual(appended.filter(([id, end]) => end === 'answered' && !runs.has(id)), []);
});

const silent = '\nlimits: {keep_alive_interval: 1s}\n';

async function startSilent(t) {
  const server = await servers.stdio(t);
  const service = await Service.start(t,
    `name: streams\nserver: ${server.block}\ntasks: {count: 3, zones: [a, b, c]}${silent}`,
    { name: 'streams' });
  return { ...server, service, url: await service.url() };
}

test('an SDK client that comes back for a lost stream is told the end of its call', async (t) => {
  const { service, url } = await startSilent(t);
  for (const era of ['SDK 1.x', 'SDK 2.x legacy']) {
    const client = await sdkClients[era](url);
    t.after(() => client.close());
    let token;
    const options = { onresumptiontoken: (value) => { token = value; } };
    const params = { name: 'append', arguments: { id: era.replaceAll(' ', ''), ms: 120_000 } };
    const running = era === 'SDK 1.x'
      ? client.callTool(params, undefined, options) : client.callTool(params, options);
    const ended = running.then(() => 'answered', ({ message }) => message);
    await until('its stream has an event', () => token !== undefined);
    for (const owner of await holders(service)) await killTask(service, owner);
    assert.match(await ended, /may have run; its end is unknown/, era);
    await service.healthy();
    const { content } = await client.callTool({ name: 'echo', arguments: { text: 'on' } });
    assert.equal(content[0].text, 'on');
  }
});

/// Posts and leaves as soon as the first event is there: its id.
const firstEventId = (url, headers, body) => new Promise((done, failed) => {
  const outgoing = http.request(url, { method: 'POST', headers }, (incoming) => {
    let text = '';
    incoming.on('data', (data) => {
      text += data;
      const id = /^id: (.+)$/m.exec(text)?.[1];
      if (!id) return;
      outgoing.destroy();
      done(id);
    });
    incoming.on('error', () => {});
  });
  outgoing.on('error', failed);
  outgoing.end(body);
});

/// What tasks have left each other of their sessions.
function keptBytes(service) {
  const folder = join(service.folder, '.berth/data/fleet/lives');
  const kept = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.kept'));
  return kept.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

test('an answer that nobody read outlives its reader and its task', async (t) => {
  const { service, url, ledger } = await startSilent(t);
  const client = await sdkClients['SDK 1.x'](url);
  t.after(() => client.close());
  const headers = {
    'content-type': 'application/json', accept: 'application/json, text/event-stream',
    'mcp-session-id': client.transport.sessionId, 'mcp-protocol-version': '2025-11-25',
  };
  const call = { jsonrpc: '2.0', id: 77, method: 'tools/call',
    params: { name: 'append', arguments: { id: 'unread', ms: 3_000 } } };
  const id = await firstEventId(url, headers, JSON.stringify(call));
  const [owner] = await holders(service);
  let before = 0;
  await until('its stream is kept', () => (before = keptBytes(service)) > 0);
  await until('its answer is kept', () => keptBytes(service) > before);
  await killTask(service, owner);
  const resumed = await request(url, { method: 'GET', headers: { ...headers, 'last-event-id': id } });
  assert.equal(resumed.status, 200);
  assert.equal(answerOf(resumed).result.content[0].text, 'appended unread');
  assert.equal(readFileSync(ledger, 'utf8'), 'unread\n');
});

test('sessions outlive a rotation of the fleet key', async (t) => {
  const { service, url, call } = await start(t, 'native');
  const client = await sdkClients['SDK 1.x'](url);
  t.after(() => client.close());
  const file = join(service.folder, '.berth/fleet.key');
  const before = readFileSync(file);
  const after = randomBytes(32);
  for (const keys of [[before, after], [after, before]]) {
    writeFileSync(file, Buffer.concat(keys));
    let running = true;
    const meanwhile = (async () => {
      while (running) await client.callTool(call);
    })();
    assert.equal((await service.berth('restart')).code, 0);
    running = false;
    await meanwhile;
  }
  const young = await sdkClients['SDK 1.x'](url);
  t.after(() => young.close());
  writeFileSync(file, after);
  assert.equal((await service.berth('restart')).code, 0);
  await young.callTool(call);
  await assert.rejects(client.callTool(call), /Session not found/, 'the key of its id has gone');
});
