// State in the process of a stateful legacy server, behind three tasks and round robin: every client finds it
// again, nobody else does, and where it is lost with its process the caller is told.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, Service, until, yamlList } from '../support/berth.mjs';
import { inspector, mcpRemote, sdkClients } from '../support/clients.mjs';
import { answerOf, modernBody, modernHeaders, request } from '../support/http.mjs';

const command = yamlList([process.execPath, join(root, 'test/fixtures/node/state_server.mjs')]);
const spec = (more = '', rest = '') =>
  `name: homes\nserver: {command: ${command}, era: legacy${more}}\n` +
  `tasks: {count: 3, zones: [a, b, c]}\n${rest}`;
const found = (result) => result.content[0].text;
const noticeOf = (result) => result._meta?.['berth/notice'];

/// A caller of the stateless era, told apart from others by a client header.
function caller(url, client, headers = {}) {
  let id = 0;
  return async (name, args = {}) => {
    id += 1;
    const answer = await request(url, {
      headers: { ...modernHeaders('tools/call', name), 'berth-client': client, ...headers },
      body: modernBody(id, 'tools/call', { name, arguments: args }),
    });
    assert.equal(answer.status, 200, answer.text);
    return answerOf(answer);
  };
}

test('every client finds again what it has set, 200 of 200', async (t) => {
  const service = await Service.start(t, spec());
  const url = await service.url();
  for (const [name, connectTo] of Object.entries(sdkClients)) {
    await t.test(name, async () => {
      const client = await connectTo(url, { 'berth-client': name.replaceAll(' ', '-') });
      let right = 0;
      for (let i = 0; i < 200; ++i) {
        await client.callTool({ name: 'set', arguments: { value: `${name} ${i}` } });
        const result = await client.callTool({ name: 'get', arguments: {} });
        if (found(result) === `${name} ${i}`) right += 1;
      }
      await client.finish();
      assert.equal(right, 200);
    });
  }
  await t.test('berth call', async () => {
    for (let i = 0; i < 10; ++i) {
      const set = await service.berth('call', 'set', `value=by hand ${i}`);
      assert.equal(set.code, 0, set.err);
      const { out, err } = await service.berth('call', 'get');
      assert.match(out, new RegExp(`by hand ${i}`), err);
    }
  });
  await t.test('mcp-remote', async () => {
    const client = await mcpRemote(url, { home: join(service.folder, 'home-of-mcp-remote') });
    for (let i = 0; i < 50; ++i) {
      await client.callTool({ name: 'set', arguments: { value: `remote ${i}` } });
      assert.equal(found(await client.callTool({ name: 'get', arguments: {} })), `remote ${i}`);
    }
    await client.finish();
  });
  await t.test('Inspector, which connects anew for each call', async () => {
    const call = async (...words) => {
      const said = await inspector(url, 'modern',
        ['--method', 'tools/call', ...words, '--header', 'Berth-Client: inspector'],
        { home: service.folder });
      return found(said.result ?? said);
    };
    for (let i = 0; i < 3; ++i) {
      await call('--tool-name', 'set', '--tool-arg', `value=inspected ${i}`);
      assert.equal(await call('--tool-name', 'get'), `inspected ${i}`);
    }
  });
  await t.test('what many clients have set stays apart', async () => {
    const clients = Array.from({ length: 12 }, (_, i) => caller(url, `client ${i}`));
    const homes = new Set();
    for (const call of clients) homes.add((await call('set', { value: 'x' })).result.structuredContent.pid);
    assert.equal(homes.size, 3, 'their homes are spread over the tasks');
  });
});

test('two principals never meet', async (t) => {
  const service = await Service.start(t, spec('', [
    'auth:', '  keys:', '    - {name: alice, env: ALICE}', '    - {name: bob, env: BOB}', '',
  ].join('\n')), { environment: { ALICE: 'a'.repeat(32), BOB: 'b'.repeat(32) } });
  const url = await service.url();
  const alice = caller(url, 'one', { authorization: `Bearer ${'a'.repeat(32)}` });
  const bob = caller(url, 'one', { authorization: `Bearer ${'b'.repeat(32)}` });
  for (let i = 0; i < 100; ++i) {
    await alice('set', { value: `of alice ${i}` });
    await bob('set', { value: `of bob ${i}` });
    assert.equal(found((await alice('get')).result), `of alice ${i}`);
    assert.equal(found((await bob('get')).result), `of bob ${i}`);
  }
});

test('scaling and a restart lose state with its process alone, and say so', async (t) => {
  const service = await Service.start(t, spec());
  const url = await service.url();
  const clients = Array.from({ length: 10 }, (_, i) => ({ call: caller(url, `c${i}`), pid: undefined }));
  for (const client of clients) {
    client.pid = (await client.call('set', { value: 'ours' })).result.structuredContent.pid;
  }
  /// How many still have their process and its state; the others were told that it is gone, once.
  const look = async () => {
    let kept = 0;
    for (const client of clients) {
      const { result } = await client.call('get');
      const { pid } = result.structuredContent;
      if (pid === client.pid) {
        kept += 1;
        assert.equal(found(result), 'ours');
        assert.equal(noticeOf(result), undefined);
      } else {
        assert.match(noticeOf(result) ?? 'nothing was said', /what it kept in memory is lost/);
        client.pid = pid;
        await client.call('set', { value: 'ours' });
      }
      assert.equal(noticeOf((await client.call('get')).result), undefined);
    }
    return kept;
  };

  assert.equal(await look(), 10);
  assert.equal((await service.berth('scale', '5')).code, 0);
  await service.healthy(5);
  assert.equal(await look(), 10, 'a home stays where its state is');
  assert.equal((await service.berth('scale', '2')).code, 0);
  await service.healthy(2);
  const left = await look();
  assert.ok(left > 0 && left < 10, `${left} of 10 kept`);
  assert.equal((await service.berth('restart')).code, 0);
  await service.healthy(2);
  assert.equal(await look(), 0);
  assert.equal(await look(), 10);
});

test('a task that is killed loses its homes, and their callers are told', async (t) => {
  const service = await Service.start(t, spec());
  const url = await service.url();
  const clients = Array.from({ length: 9 }, (_, i) => caller(url, `c${i}`));
  for (const call of clients) await call('set', { value: 'mine' });
  const { tasks } = await service.status();
  process.kill(tasks[0].pid, 'SIGKILL');
  await until('the task is gone', async () =>
    (await service.status()).tasks.every(({ pid }) => pid !== tasks[0].pid));
  await service.healthy(3);
  let lost = 0;
  for (const call of clients) {
    const { result } = await call('get');
    if (found(result) !== 'mine') {
      lost += 1;
      assert.ok(noticeOf(result), 'the loss is said');
    }
  }
  assert.ok(lost > 0 && lost < 9, `${lost} of 9 lost`);
});

test('state: process refuses one call after a loss', async (t) => {
  const service = await Service.start(t, spec(', state: process'));
  const call = caller(await service.url(), 'c');
  await call('set', { value: 'mine' });
  assert.match((await call('die')).error.message, /may have run/);
  const { error } = await call('set', { value: 'lost' });
  assert.equal(error.code, -32603);
  assert.match(error.message, /was not run.*call again to begin anew/);
  assert.equal(found((await call('get')).result), 'nothing');
});

test('a session whose process ends is told so once, and goes on in a new one', async (t) => {
  const service = await Service.start(t, spec());
  const url = await service.url();
  for (const era of ['SDK 1.x', 'SDK 2.x legacy']) {
    const client = await sdkClients[era](url);
    t.after(() => client.close());
    await client.callTool({ name: 'set', arguments: { value: 'mine' } });
    await assert.rejects(client.callTool({ name: 'die', arguments: {} }), /may have run/);
    const told = await client.callTool({ name: 'get', arguments: {} });
    assert.equal(found(told), 'nothing');
    assert.match(noticeOf(told), /what it kept in memory is lost/);
    assert.equal(noticeOf(await client.callTool({ name: 'get', arguments: {} })), undefined);
  }
  await until('the status tells of both losses', async () =>
    /callers told that their state was lost with its process: 2/.test((await service.berth('status')).out));
});

test('with state: process such a session is not found any more', async (t) => {
  const service = await Service.start(t, spec(', state: process'));
  const client = await sdkClients['SDK 1.x'](await service.url());
  t.after(() => client.close());
  await client.callTool({ name: 'set', arguments: { value: 'mine' } });
  await assert.rejects(client.callTool({ name: 'die', arguments: {} }), /may have run/);
  await assert.rejects(client.callTool({ name: 'get', arguments: {} }), /Session not found/);
});
