// A task ends without warning, or stops: the clients of its legacy sessions go on with the session they have.
// SDK clients never initialize again by themselves.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandLine, root, Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';
import { request } from '../support/http.mjs';
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

/// Returns once the front door has let go of it: what is sent to a task that is about to end may have run.
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
