// The verbs of `berth` on a running service of the built-in workspace server.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { alive, execute, program, Service, temporaryFolder, until } from '../support/berth.mjs';
import { callTool } from '../support/http.mjs';

const workspace = 'name: verbs\nserver: {builtin: workspace}\ntasks: {count: 3, zones: [a, b, c]}\n';

test('up, status, tools, call, connect, logs, scale, restart and down', async (t) => {
  const service = await Service.start(t, workspace);

  await t.test('status names one task a zone, all healthy', async () => {
    const { tasks, desired } = await service.status();
    assert.equal(desired, 3);
    assert.deepEqual(tasks.map((task) => task.zone).sort(), ['a', 'b', 'c']);
    assert.ok(tasks.every((task) => /^127\.0\.[123]\.\d+:3000$/.test(task.address)), JSON.stringify(tasks));
    const shown = await service.berth('status');
    assert.equal(shown.code, 0, shown.err);
    for (const { address } of tasks) assert.match(shown.out, new RegExp(address));
  });

  await t.test('tools lists them and call calls one', async () => {
    const tools = await service.berth('tools');
    assert.match(tools.out, /whoami/);
    const put = await service.berth('call', 'state_put', '{"key":"colour","value":"blue"}');
    assert.equal(put.code, 0, put.err);
    const got = await service.berth('call', 'state_get', '{"key":"colour"}');
    assert.match(got.out, /blue/);
  });

  await t.test('a call that fails says so and exits with 7', async () => {
    const failed = await service.berth('call', 'state_get', '{"key":"never put"}');
    assert.equal(failed.code, 7, failed.out + failed.err);
  });

  await t.test('every task sees what one of them stored, and every task answers', async () => {
    const url = await service.url();
    const zones = new Set();
    for (let i = 0; i < 9; ++i) {
      zones.add(JSON.stringify(await callTool(url, 'whoami', {})).match(/zone[^a-z]+([abc])/)?.[1]);
      assert.match(JSON.stringify(await callTool(url, 'state_get', { key: 'colour' })), /blue/);
    }
    assert.deepEqual([...zones].sort(), ['a', 'b', 'c']);
  });

  await t.test('connect prints what a client needs', async () => {
    const url = await service.url();
    const claude = await service.berth('connect', '--client', 'claude');
    assert.match(claude.out, /claude mcp add/);
    assert.ok(claude.out.includes(url) || claude.out.includes(await service.url('https')), claude.out);
    const json = await service.berth('connect', '--client', 'json');
    assert.ok(JSON.parse(json.out), json.out);
  });

  await t.test('logs has lines of every task', async () => {
    const { out } = await service.berth('logs');
    assert.ok(out.trim().split('\n').length >= 3, out);
  });

  await t.test('scale changes the number of tasks', async () => {
    assert.equal((await service.berth('scale', '5')).code, 0);
    const { tasks } = await service.healthy(5);
    assert.equal(tasks.length, 5);
    assert.equal((await service.berth('scale', '3')).code, 0);
    await service.healthy(3);
  });

  await t.test('restart replaces every process while calls go on', async () => {
    const before = (await service.status()).tasks.map((task) => task.pid);
    const url = await service.url();
    assert.equal((await service.berth('restart')).code, 0);
    let problems = 0;
    await until('new processes', async () => {
      await callTool(url, 'whoami', {}).catch(() => { problems += 1; });
      const { tasks } = await service.status();
      return tasks.length === 3 &&
        tasks.every((task) => task.health === 'healthy' && !before.includes(task.pid));
    }, 60_000);
    assert.equal(problems, 0);
  });

  await t.test('a second up of the same service says who runs', async () => {
    const second = await service.berth('up');
    assert.equal(second.code, 5, second.out + second.err);
    assert.match(second.err, new RegExp(String(service.process.pid)));
  });

  await t.test('down ends everything', async () => {
    const { code, left, ended } = await service.down();
    assert.equal(code, 0);
    assert.deepEqual(left, []);
    assert.equal(ended?.code, 0, service.output);
    const after = await service.berth('status');
    assert.equal(after.code, 4, after.out + after.err);
  });
});

test('up -d goes to the background and down ends it', async (t) => {
  const service = new Service(temporaryFolder(t, 'background'));
  writeFileSync(join(service.folder, 'berth.yaml'), workspace);
  const started = await service.berth('up', '-d');
  assert.equal(started.code, 0, started.out + started.err);
  const { pid, tasks } = await service.healthy();
  const processes = [pid, ...tasks.map((task) => task.pid)];
  assert.equal((await service.berth('down')).code, 0);
  await until('everything ended', () => processes.every((each) => !alive(each)), 40_000);
});

test('Ctrl-C drains and ends everything', async (t) => {
  const service = await Service.start(t, workspace);
  const tree = service.tree();
  service.process.kill('SIGINT');
  const ended = await service.exited;
  assert.equal(ended.code, 0, service.output);
  assert.deepEqual(tree.filter(alive), []);
});

test('several servers live side by side under their names', async (t) => {
  const service = await Service.start(t, [
    'name: two', 'servers:', '  one: {builtin: workspace}', '  two: {builtin: workspace}',
    'tasks: {count: 1}', '',
  ].join('\n'));
  const base = new URL(await service.url()).origin;
  for (const name of ['one', 'two']) {
    assert.ok(await callTool(`${base}/${name}/mcp`, 'whoami', {}));
  }
});

test('a berth.yaml full of mistakes names them all, with places, and nothing starts', async (t) => {
  const folder = temporaryFolder(t, 'mistakes');
  writeFileSync(join(folder, 'berth.yaml'), 'nam: x\nserver: {builtin: workspce}\ntasks: {count: many}\n');
  const env = { PATH: process.env.PATH, HOME: folder };
  const { code, out, err } = await execute(program, ['validate'], { cwd: folder, env });
  assert.equal(code, 3);
  const places = (out + err).match(/berth\.yaml:\d+:\d+:/g) ?? [];
  assert.ok(places.length >= 3, out + err);
  assert.match(out + err, /name/);
  assert.match(out + err, /workspace/);
});

test('a port in use is named', async (t) => {
  const other = net.createServer();
  await new Promise((done) => other.listen(0, '127.0.0.1', done));
  t.after(() => other.close());
  const { port } = other.address();
  const yaml = `${workspace}listener: {http_port: ${port}}\n`;
  const service = await Service.start(t, yaml, { healthy: false });
  const ended = await service.exited;
  assert.notEqual(ended.code, 0);
  assert.match(service.output, new RegExp(String(port)));
});

test('a command that does not exist is named, and its task is not ready', async (t) => {
  const yaml = 'name: missing\nserver: {command: [/no/such/program]}\ntasks: {count: 1}\n';
  const service = await Service.start(t, yaml, { healthy: false });
  await until('the command in the output or the status', async () => {
    if (/\/no\/such\/program/.test(service.output)) return true;
    return /\/no\/such\/program/.test((await service.berth('status', '--json')).out);
  });
});

test('a listener beyond loopback without keys is refused', async (t) => {
  const service = await Service.start(t, `${workspace}listener: {address: 0.0.0.0}\n`, { healthy: false });
  const ended = await service.exited;
  assert.notEqual(ended.code, 0);
  assert.match(service.output, /berth\.yaml:4:\d+: .*auth/);
});
