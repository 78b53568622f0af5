// Images against real registries and engines: assembled without an engine, pushed to Debian's docker-registry
// on loopback, run by podman as a Fargate task is, built by podman and buildah from a Dockerfile. What a
// machine has not is skipped by name. Times are printed; the limits leave room for a busy machine.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { execute, program, until } from '../support/berth.mjs';
import { has, imageTool, node, npmEnvironment, Workshop } from '../support/images.mjs';

const authorities = '/etc/ssl/certs/ca-certificates.crt';
const server = '@modelcontextprotocol/server-everything@2026.8.31';

const shop = new Workshop();
const { environment } = shop;
const path = (...parts) => shop.path(...parts);
const write = (name, text) => shop.write(name, text);
const podman = (...words) => shop.podman(...words);
const image = (...words) => shop.image(...words);
const tryImage = (...words) => shop.tryImage(...words);

const state = {};
before(async () => {
  if (!has.registry || !imageTool || !existsSync(program)) return;
  state.registry = await shop.startRegistry('registry');
  if (node) state.base = await shop.pushNode(state.registry);
});
after(() => shop.end());

const missing = (...names) => names.filter((name) => !has[name]).map((name) => `there is no ${name}`)[0] ??
  (imageTool && existsSync(program) ? false : 'image_tool or berth is not built');
const common = () => ({
  store: path('store'), berth: program, ca: authorities,
  spec: write('spec.yaml', 'name: app\nserver:\n  command: [node, ' +
    '/app/node_modules/.berth/package/@modelcontextprotocol/server-everything, stdio]\n'),
});

test('an image of berth alone has at most 10 MB', { skip: missing('registry') }, async () => {
  const made = await image('assemble', { ...common(), push: `${state.registry}/scratch:1` });
  assert.ok(made.bytes <= 10e6, `${made.bytes} bytes`);
  assert.deepEqual(made.config.config.Entrypoint, ['/usr/local/bin/berth', 'serve']);
  const back = await image('pull', { store: path('store-back'), from: `${state.registry}/scratch:1` });
  assert.equal(back.digest, made.digest);
});

describe('an MCP server from npm on a node base', {
  skip: missing('registry', 'npm') || (!node && 'there is no node') }, () => {
  const options = () => ({ ...common(), base: state.base, directory: path('app'), package: server });

  test('is built and pushed, the same digest in another store', async (t) => {
    write('app/server.mjs', 'one');
    const first = await image('assemble', { ...options(), push: `${state.registry}/app:1` });
    t.diagnostic(`cold: ${Math.round(first.ms)} ms`);
    const second = await image('assemble', { ...options(), store: path('store-other') });
    assert.equal(second.digest, first.digest);
    const again = await image('assemble', { ...options(), push: `${state.registry}/app:1` });
    assert.equal(again.digest, first.digest);
    assert.equal(again.pushed.bytes_sent, 0);
  });

  test('is there again after a change of the source, which alone is sent', async (t) => {
    write('app/server.mjs', 'two');
    const changed = await image('assemble', { ...options(), push: `${state.registry}/app:2` });
    t.diagnostic(`after a change: ${Math.round(changed.ms)} ms`);
    assert.equal(changed.pushed.layers_sent, 1);
  });

  const skip = missing('podman');
  test('answers as a task: 0.5 CPU, 1 GB, read-only root, no network', { skip }, async () => {
    const started = await podman('run', '--detach', '--name', 'task', '--network', 'none', '--read-only',
      '--cap-drop=all', '--security-opt=no-new-privileges', '--cpus', '0.5', '--memory', '1g',
      '--env', 'BERTH_DATA=/tmp', '--tls-verify=false',
      `${state.registry}/app:2`, '--open');
    assert.equal(started.code, 0, started.err);
    const ask = (script) => podman('exec', 'task', 'node', '-e', script);
    const healthz = 'fetch("http://127.0.0.1:3000/healthz").then((a) => console.log(a.status))';
    await until('/healthz answers 200', async () => (await ask(healthz)).out === '200\n')
      .catch(async (error) => assert.fail(`${error.message}: ${(await podman('logs', 'task')).out}`));
    const initialize = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {
      protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } } });
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const request = JSON.stringify({ method: 'POST', body: initialize, headers });
    const answer = await ask(
      `fetch('http://127.0.0.1:3000/mcp', ${request}).then((a) => a.text()).then(console.log)`);
    assert.match(answer.out, /mcp-servers\/everything/);
  });
});

test('a project\'s dependencies come by its lock file, without its own scripts',
  { skip: missing('registry', 'npm') || (!node && 'there is no node') }, async () => {
    write('project/package.json', JSON.stringify({ name: 'p', version: '1.0.0', type: 'module',
      dependencies: { lib: 'file:./lib' }, scripts: { prepare: 'touch prepared && false' } }));
    write('project/lib/package.json', JSON.stringify({ name: 'lib', version: '1.0.0', main: 'index.js' }));
    write('project/lib/index.js', 'exports.x = 1;');
    const locked = await execute('npm', ['install', '--package-lock-only', '--ignore-scripts'],
      { cwd: path('project'), env: { ...process.env, ...npmEnvironment } });
    assert.equal(locked.code, 0, locked.err);
    const options = { ...common(), base: state.base, directory: path('project'), npm: 1 };
    const made = await image('assemble', options);
    assert.ok(made.progress.some((line) => line.includes('(npm)')), made.progress.join('\n'));
    assert.ok(!existsSync(path('project/prepared')));
    write('project/package.json', '{');
    assert.match((await tryImage('assemble', options)).error, /package.json' is not a JSON object/);
    rmSync(path('project/package.json'));
    assert.match((await tryImage('assemble', options)).error, /has no package.json/);
  });

test('a registry that wants a password gets the right one', { skip: missing('registry') }, async () => {
  write('htpasswd', 'AWS:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n');
  const auth = `auth: {htpasswd: {realm: test, path: ${path('htpasswd')}}}\n`;
  const registry = await shop.startRegistry('closed', auth);
  const push = `${registry}/scratch:1`;
  assert.match((await tryImage('assemble', { ...common(), push })).error, /wants a login and there is none/);
  const refused = await tryImage('assemble', { ...common(), push, user: 'AWS' }, 'mistaken');
  assert.equal(refused.code, 'permission_denied');
  assert.ok(!refused.error.includes('mistaken'));
  await image('assemble', { ...common(), push, user: 'AWS' }, 'secret');
  // What `docker login` has stored serves as well.
  write('home/.docker/config.json', JSON.stringify({ auths: { [registry]: { auth: btoa('AWS:secret') } } }));
  await image('assemble', { ...common(), push });
});

for (const engine of ['podman', 'buildah']) {
  test(`${engine} builds a Dockerfile, and berth starts it`,
    { skip: missing('registry', engine) || (!node && 'there is no node') }, async () => {
      // A PATH on which that engine is the only one.
      mkdirSync(path(`bin-${engine}`), { recursive: true });
      const { out } = await execute('sh', ['-c', `command -v ${engine}`]);
      write(`bin-${engine}/${engine}`, `#!/bin/sh\nPATH='${process.env.PATH}' exec ${out.trim()} "$@"\n`);
      chmodSync(path(`bin-${engine}/${engine}`), 0o755);
      const dockerfile = write('docker/Dockerfile',
        `FROM ${state.base}\nWORKDIR /srv\nCOPY . .\nUSER 1234\n` + 'CMD ["node", "server.mjs"]\n');
      write('docker/server.mjs', '');
      const saved = environment.PATH;
      environment.PATH = path(`bin-${engine}`);
      try {
        const options = { ...common(), dockerfile, directory: path('docker') };
        const made = await image('build', { ...options, push: `${state.registry}/${engine}:1` });
        const { Entrypoint, Cmd, User, WorkingDir } = made.config.config;
        assert.deepEqual({ Entrypoint, Cmd, User, WorkingDir }, {
          Entrypoint: ['/usr/local/bin/berth', 'serve'], Cmd: undefined, User: '1234', WorkingDir: '/srv' });
        const again = await image('build', { ...options, push: `${state.registry}/${engine}:1` });
        assert.equal(again.digest, made.digest);
        write('docker/Dockerfile', 'FROM scratch\nRUN nothing\n');
        const broken = await tryImage('build', options);
        assert.match(broken.error, new RegExp(`\`${engine} build\` exited with code`));
      } finally {
        environment.PATH = saved;
      }
    });
}

test('without an engine a Dockerfile is refused', { skip: missing('registry') }, async () => {
  const saved = environment.PATH;
  environment.PATH = path('nowhere');
  const refused = await tryImage('build', { ...common(), dockerfile: 'Dockerfile', directory: shop.folder });
  environment.PATH = saved;
  assert.match(refused.error, /docker: not on PATH\n {2}podman: not on PATH/);
});
