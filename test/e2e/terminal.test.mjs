// What somebody meets who types `berth`: the environment of servers, addresses, advice that works as typed,
// exit codes, and a real terminal of 80 columns and 24 rows.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { execute, program, root, Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';

const server = join(root, 'test/fixtures/node/environment_server.mjs');
const command = yamlList([process.execPath, server]);

/// A service in a new folder that is started by `berth up -d WORDS…` and ended with the test.
async function detached(t, files, words = [], environment = {}) {
  const option = words.length > 0 ? ['--file', words[0]] : [];
  // Before the folder goes, which is a hook of its own.
  t.after(() => service.berth('down', ...option));
  const service = new Service(temporaryFolder(t, 'terminal'));
  Object.assign(service.environment, environment);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(service.folder, name)), { recursive: true });
    writeFileSync(join(service.folder, name), text);
  }
  service.started = await service.berth('up', '-d', ...words);
  return service;
}

test('a server gets what package runners need, what it inherits, and no key', async (t) => {
  const yaml = `name: env\nserver:\n  command: ${command}\n  inherit: [TOKEN_*]\n  env_file: more.env\n` +
    'tasks: {count: 1}\nauth: {keys: [{name: alice, env: PIP_ALICE}]}\n';
  const service = await detached(t, { 'berth.yaml': yaml, 'more.env': 'FROM_FILE=f\n' }, [], {
    https_proxy: 'http://127.0.0.1:9', NO_PROXY: 'localhost', npm_config_registry: 'http://r.example/',
    UV_INDEX_URL: 'http://i.example/', LOGNAME: 'me', REQUESTS_CA_BUNDLE: '/ca.pem', TOKEN_A: 'a',
    SECRET: 's', PIP_ALICE: 'twenty-characters-ok',
  });
  assert.equal(service.started.code, 0, service.started.out + service.started.err);
  const { out, err } = await service.berth('call', 'environment');
  const seen = JSON.parse(out || err);
  for (const name of ['https_proxy', 'NO_PROXY', 'npm_config_registry', 'UV_INDEX_URL', 'LOGNAME',
    'REQUESTS_CA_BUNDLE', 'TOKEN_A']) {
    assert.equal(seen[name], service.environment[name], name);
  }
  assert.equal(seen.FROM_FILE, 'f');
  assert.equal(seen.SECRET, undefined);
  assert.equal(seen.PIP_ALICE, undefined);
});

test('prompts and resources are listed and got', async (t) => {
  const yaml = `name: things\nserver: {command: ${yamlList([process.execPath, server, 'hello'])}}\n` +
    'tasks: {count: 1}\n';
  const service = await detached(t, { 'berth.yaml': yaml });
  assert.match((await service.berth('prompts')).out, /greet\(who\)/);
  assert.equal((await service.berth('prompts', 'greet', 'who=Ada')).out, 'user: Greet Ada.\n');
  assert.match((await service.berth('resources')).out, /env:\/\/all/);
  assert.equal((await service.berth('resources', 'env://all')).out, 'hello\n');
});

test('the advice after up FILE works as typed', async (t) => {
  const entry = { command: process.execPath, args: [server] };
  const service = await detached(t, { 'sub dir/.mcp.json': JSON.stringify({ mcpServers: { env: entry } }) },
    ['sub dir/.mcp.json']);
  const { code, out, err } = service.started;
  assert.equal(code, 0, out + err);
  const advice = out.split('\n').map((line) => line.match(/^ {2}(berth (?:tools|status|scale).*?) {2}/)?.[1])
    .filter(Boolean);
  assert.equal(advice.length, 3, out);
  const env = { ...service.environment, PATH: `${dirname(program)}:${service.environment.PATH}` };
  for (const line of advice) {
    const typed = await execute('sh', ['-c', line], { cwd: service.folder, env });
    assert.equal(typed.code, 0, `${line}: ${typed.out}${typed.err}`);
  }
});

test('every printed address beyond loopback is one that answers', async (t) => {
  const own = Object.values(networkInterfaces()).flat()
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.2';
  for (const [listener, expected] of [
    [`{address: ${own}, hosts: [localhost]}`, ['http:', 'https:', 'https:']],
    [`{address: ${own}, https: false}`, ['http:']],
    ['{address: 0.0.0.0, https: false}', ['http:']]]) {
    await t.test(listener, async (inner) => {
      const yaml = `name: far\nserver: {builtin: workspace}\ntasks: {count: 1}\nlistener: ${listener}\n` +
        'auth: {keys: [{name: alice, env: ALICE}]}\n';
      const service = await detached(inner, { 'berth.yaml': yaml }, [], { ALICE: 'twenty-characters-ok' });
      assert.equal(service.started.code, 0, service.started.out + service.started.err);
      const { urls } = await service.status();
      const shown = urls.filter(({ url }) => !url.includes('/far/'));
      assert.deepEqual(shown.map(({ url }) => new URL(url).protocol).slice(0, expected.length), expected);
      const trust = (url) => (url.startsWith('https:') ? ['--cacert', service.authorityFile()] : []);
      const ask = (url) => execute('curl', ['--noproxy', '*', '-sS', '-o', '/dev/null', '-w', '%{http_code}',
        ...trust(url), new URL('/healthz', url).href]);
      for (const { url, outside } of shown) {
        if (outside) continue;  // localhost, which is not on that address
        assert.equal((await ask(url)).out, '200', url);
      }
      const called = await service.berth('tools');
      assert.equal(called.code, 0, called.err);
    });
  }
});

test('a change of hosts keeps the authority that clients trust', async (t) => {
  const yaml = (hosts) =>
    `name: h\nserver: {builtin: workspace}\ntasks: {count: 1}\nlistener: {hosts: ${hosts}}\n`;
  const service = await detached(t, { 'berth.yaml': yaml('[]') });
  const before = readFileSync(service.authorityFile(), 'utf8');
  await service.berth('down');
  writeFileSync(join(service.folder, 'berth.yaml'), yaml('[mcp.example.com]'));
  assert.equal((await service.berth('up', '-d')).code, 0);
  assert.equal(readFileSync(service.authorityFile(), 'utf8'), before);
  const https = await service.url('https');
  const named = new URL(https.replace('localhost', 'mcp.example.com'));
  const asked = await execute('curl', ['--noproxy', '*', '-sS', '-o', '/dev/null', '-w', '%{http_code}',
    '--cacert', service.authorityFile(), '--resolve', `mcp.example.com:${named.port}:127.0.0.1`,
    `https://mcp.example.com:${named.port}/healthz`]);
  assert.equal(asked.out, '200', asked.err);
});

test('a server that cannot start ends up -d at once, with the reason', async (t) => {
  for (const [kind, how, reason] of [
    ['command', 'command: [no-such-program]', /no-such-program/],
    ['url', 'url: "http://127.0.0.1:9/mcp"', /127\.0\.0\.1:9/]]) {
    await t.test(kind, async (inner) => {
      const yaml = `name: x\nserver: {${how}}\ntasks: {count: 1}\n`;
      const service = await detached(inner, { 'berth.yaml': yaml });
      assert.equal(service.started.code, 6, service.started.out + service.started.err);
      assert.match(service.started.out + service.started.err, reason);
      assert.ok(service.started.milliseconds < 20_000, `${service.started.milliseconds} ms`);
    });
  }
});

test('on a terminal of 80 by 24 how to stop is on the screen, and nothing is wider', async (t) => {
  const service = new Service(temporaryFolder(t, 'screen'));
  writeFileSync(join(service.folder, 'berth.yaml'),
    'name: screen\nserver: {builtin: workspace}\ntasks: {count: 6}\n');
  const env = { ...service.environment, TERM: 'xterm' };
  const typed = `stty cols 80 rows 24; '${program}' up`;
  const shown = execute('script', ['-qec', typed, '/dev/null'],
    { cwd: service.folder, env, timeout: 90_000 });
  await service.healthy(6).finally(() => service.berth('down'));
  const { out } = await shown;
  assert.match(out, /Ctrl-C drains and stops everything\./);
  const asked = `stty cols 80 rows 24; '${program}' help`;
  const help = await execute('script', ['-qec', asked, '/dev/null'], { env });
  const lines = help.out.replaceAll(/\x1b\[[0-9;]*m/g, '').trimEnd().split(/\r?\n/);
  assert.ok(lines.length <= 23, `${lines.length} lines`);
  for (const line of lines) assert.ok(line.length <= 80, line);
});

test('up of a service that is up says what its file says otherwise, and what takes that', async (t) => {
  const yaml = (count, port) => `name: d\nserver: {command: ${command}, env: {A: "\${B}"}}\n` +
    `tasks: {count: ${count}}\nlistener: {http_port: ${port}}\n`;
  const service = await detached(t, { 'berth.yaml': yaml(1, 18321) }, [], { B: 'secret-b' });
  const same = await service.berth('up');
  assert.match(same.err, /What runs is what the file says\./);
  writeFileSync(join(service.folder, 'berth.yaml'), yaml(2, 18322));
  service.environment.B = 'another';
  const changed = await service.berth('up');
  assert.equal(changed.code, 5);
  assert.match(changed.err, /`server\.env`, `tasks\.count`\. `berth restart` takes that\./);
  assert.match(changed.err, /`berth down`, then `berth up`, takes it: `listener\.http_port`\./);
  assert.doesNotMatch(changed.out + changed.err, /secret-b|another/);
});

test('shell scripts can rely on exit codes', async (t) => {
  const yaml = `name: c\nserver: {command: ${command}}\ntasks: {count: 1}\n`;
  const service = await detached(t, { 'berth.yaml': yaml });
  const codes = [
    [0, 'status'], [2, 'status', '--frobnicate'], [2, 'tools', '--server', 'none'], [2, 'call', 'none'],
    [2, 'logs', '--task', '99'], [3, 'status', '--file', 'none.yaml'], [5, 'up'],
  ];
  for (const [code, ...words] of codes) {
    const typed = await service.berth(...words);
    assert.equal(typed.code, code, `${words.join(' ')}: ${typed.out}${typed.err}`);
  }
  await service.berth('down');
  await until('it is down', async () => (await service.berth('status')).code === 4);
});
