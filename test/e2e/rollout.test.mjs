// A restart takes the file as it is, proves its tasks before they serve, and goes back where one fails.
// SIGHUP asks a service for it, and ends one whose terminal went away.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  alive, descendants, program, root, Service, temporaryFolder, until, yamlList,
} from '../support/berth.mjs';
import { callTool } from '../support/http.mjs';

const plain = yamlList([process.execPath, join(root, 'test/fixtures/node/plain_server.mjs')]);
const spec = (env, env2 = '{}') => [
  'name: rollout', 'servers:',
  `  good: {command: ${plain}, era: legacy, start_timeout: 5s, env: ${env}}`,
  `  other: {command: ${plain}, era: legacy, start_timeout: 5s, env: ${env2}}`,
  'tasks: {count: 2, zones: [a, b]}', '',
].join('\n');

const rewrite = (service, text) => writeFileSync(join(service.folder, 'berth.yaml'), text);
const pids = ({ tasks }) => tasks.map((task) => task.pid).sort();
const at = async (service, name) => `${new URL(await service.url()).origin}/${name}/mcp`;
const get = async (service, server, name) =>
  (await callTool(await at(service, server), 'get', { name })).content[0].text;

test('restart takes the file as it is now, and is undone where a server no longer answers', async (t) => {
  const service = await Service.start(t, spec('{COLOUR: red}'));
  assert.equal(await get(service, 'good', 'COLOUR'), 'red');

  rewrite(service, spec('{COLOUR: blue}'));
  const renewed = await service.berth('restart');
  assert.equal(renewed.code, 0, renewed.out + renewed.err);
  assert.match(renewed.err, /Replaced 2 tasks\./);
  assert.equal(await get(service, 'good', 'COLOUR'), 'blue');
  await service.healthy(2);
  const before = pids(await service.status());

  rewrite(service, spec('{COLOUR: green}', '{FAIL: "1", WORDS: "no token for the ledger"}'));
  const undone = await service.berth('restart');
  assert.equal(undone.code, 6, undone.out + undone.err);
  assert.match(undone.err.replace(/\s+/g, ' '), /undone.*other: .*no token for the ledger/);
  assert.equal(await get(service, 'good', 'COLOUR'), 'blue');
  assert.equal((await callTool(await at(service, 'other'), 'get', { name: 'HOME' })).isError, undefined);
  await until('the tasks of before alone', async () => {
    return JSON.stringify(pids(await service.status())) === JSON.stringify(before);
  });

  rewrite(service, 'name: rollout\nservers: {good: {comand: [x]}}\n');
  const refused = await service.berth('restart');
  assert.equal(refused.code, 3, refused.err);
  assert.match(refused.err, /comand/);
  assert.deepEqual(pids(await service.status()), before);
});

test('SIGHUP to a service without a terminal reads the file again and cuts no call', async (t) => {
  const service = new Service(temporaryFolder(t, 'hangup'));
  t.after(() => service.kill());
  rewrite(service, spec('{COLOUR: red}'));
  service.launch([], { detached: true });
  await service.healthy();
  const before = pids(await service.status());
  const long = callTool(await at(service, 'good'), 'wait', { ms: 6_000 });
  rewrite(service, spec('{COLOUR: blue}'));
  service.process.kill('SIGHUP');
  await until('new tasks', async () => {
    const { tasks, rollout } = await service.status();
    return rollout.state === 'done' && tasks.every((task) => !before.includes(task.pid));
  }, 60_000);
  assert.equal(await get(service, 'good', 'COLOUR'), 'blue');
  assert.equal((await long).content[0].text, 'waited');
});

test('a terminal that goes away drains the service and ends it', async (t) => {
  const service = new Service(temporaryFolder(t, 'terminal'));
  rewrite(service, spec('{}'));
  const env = { ...service.environment, SHELL: '/bin/sh', TERM: 'dumb' };
  const terminal = spawn('script', ['-qefc', `exec ${program} up`, '/dev/null'],
    { cwd: service.folder, env, stdio: 'ignore' });
  t.after(() => terminal.kill('SIGKILL'));
  const { pid } = await service.healthy();
  t.after(() => { if (alive(pid)) process.kill(pid, 'SIGTERM'); });
  const tree = [pid, ...descendants(pid)];
  const long = callTool(await at(service, 'good'), 'wait', { ms: 3_000 });
  await until('the call under way', async () => (await service.status()).in_flight > 0);
  terminal.kill('SIGKILL');
  assert.equal((await long).content[0].text, 'waited');
  await until('everything ended', () => tree.every((each) => !alive(each)), 40_000);
});
