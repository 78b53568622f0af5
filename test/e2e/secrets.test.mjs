// A distinct marker in every place where a secret can be, and a look at everything that Berth emits.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandLine, root, Service, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { callTool, modernBody, modernHeaders, request } from '../support/http.mjs';

const plain = yamlList([process.execPath, join(root, 'test/fixtures/node/plain_server.mjs')]);
const mark = (name) => `MARK-${name}-0123456789abcdef`;
const marks = [
  'variable', 'file', 'environment', 'reference', 'header', 'query', 'user', 'argument', 'wrong',
].map(mark);
/// What a server says on stderr is for operators: logs, status, and holders of a key.
const words = mark('stderr');

/// An upstream that refuses everybody, and says so with what it was sent.
function refusing(t) {
  const server = http.createServer((incoming, outgoing) => {
    incoming.resume();
    outgoing.writeHead(403, { 'content-type': 'text/plain' }).end('not for you');
  });
  t.after(() => server.close());
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));
}

/// Every file under `folder`, as text by path.
function files(folder) {
  const found = {};
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    found[path.slice(folder.length + 1)] = readFileSync(path, 'latin1');
  }
  return found;
}

test('no secret is told to anybody', async (t) => {
  const port = await refusing(t);
  const service = new Service(temporaryFolder(t, 'secrets'));
  t.after(() => service.kill());
  Object.assign(service.environment, { ALICE_KEY: mark('variable'), TOKEN: mark('reference') });
  writeFileSync(join(service.folder, 'bob.key'), `${mark('file')}\n`, { mode: 0o600 });
  writeFileSync(join(service.folder, 'berth.yaml'), [
    'name: secrets', 'servers:',
    `  one: {command: ${plain}, era: legacy, start_timeout: 3s,`,
    `    env: {OWN: ${mark('environment')}, REF: "\${TOKEN}", WORDS: ${words}}}`,
    `  up: {url: "http://127.0.0.1:${port}/mcp?key=${mark('query')}", start_timeout: 2s,`,
    `    headers: {Authorization: "Bearer ${mark('header')}"}}`,
    'auth: {keys: [{name: alice, env: ALICE_KEY}, {name: bob, file: bob.key}]}',
    'tasks: {count: 2, zones: [a, b]}', '',
  ].join('\n'));
  const emitted = {};
  const keep = (name, said) => { emitted[name] = typeof said === 'string' ? said : JSON.stringify(said); };

  writeFileSync(join(service.folder, 'wrong.yaml'),
    `server: {url: "http://${mark('user')}:x@127.0.0.1/mcp?key=${mark('query')}", timeout: x}\n`);
  keep('validate a wrong file', await service.berth('validate', 'wrong.yaml'));
  keep('validate', await service.berth('validate'));
  service.launch();
  await until('a task serves', async () => {
    return (await service.status()).tasks.some((task) => task.health === 'healthy');
  }, 60_000).catch((error) => { throw new Error(`${error.message}\n${service.output}`); });
  const { urls, tasks } = await service.status();
  const origin = new URL(urls[0].url).origin;
  const right = { authorization: `Bearer ${mark('variable')}` };
  const post = async (name, path, headers, body) =>
    keep(name, await request(`${origin}${path}`,
      { headers: { 'content-type': 'application/json', ...headers }, body }));
  const call = modernBody(1, 'tools/call', { name: 'die', arguments: { note: mark('argument') } });
  const callHeaders = modernHeaders('tools/call', 'die');
  await post('call without key', '/one/mcp', callHeaders, call);
  const wrong = { authorization: `Bearer ${mark('wrong')}` };
  await post('call with a wrong key', '/one/mcp', { ...callHeaders, ...wrong }, call);
  await post('call that ends its server for alice', '/one/mcp', { ...callHeaders, ...right }, call);
  await post('call of the upstream for alice', '/up/mcp', { ...callHeaders, ...right }, call);
  const half = `{"${mark('argument')}`;
  await post('call that is no JSON for alice', '/one/mcp', { ...callHeaders, ...right }, half);
  await post('key in the query', `/one/mcp?key=${mark('wrong')}`, callHeaders, call);
  for (const path of ['/healthz', '/readyz', '/metrics', '/nothing', '/register']) {
    for (const [who, headers] of [['nobody', {}], ['alice', right]]) {
      keep(`${path} for ${who}`, await request(`${origin}${path}`, { method: 'GET', headers }));
    }
  }
  keep('/readyz of a task', await request(`http://${tasks[0].address}/readyz`, { method: 'GET' }));
  for (const verb of ['status', 'doctor', 'connect', 'logs', 'tools', 'diagram']) {
    keep(`berth ${verb}`, await service.berth(verb, ...(verb === 'tools' ? ['--server', 'up'] : [])));
  }
  keep('berth status --json', await service.berth('status', '--json'));
  keep('berth up', service.output);
  const fleetKey = readFileSync(join(service.folder, '.berth/fleet.key'), 'latin1');
  for (const pid of [service.process.pid, ...service.tree()])
    keep(`arguments of ${pid}`, commandLine(pid).join(' '));
  const state = join(service.folder, '.berth');
  for (const [path, text] of Object.entries(files(state))) keep(`.berth/${path}`, text);
  await service.down();
  for (const [path, text] of Object.entries(files(state))) keep(`left: .berth/${path}`, text);
  keep('berth up at its end', service.output);

  // The words of a server are for operators and holders of a key.
  const mayTellWords = (place) =>
    /^(left: )?\.berth\/(logs\/|tasks\/\d+\.ready)/.test(place) ||
    / for alice$/.test(place) || /^berth (status|logs|doctor|up)/.test(place);
  const told = [];
  for (const [place, text] of Object.entries(emitted)) {
    for (const secret of marks) {
      if (text.includes(secret)) told.push(`${secret} in ${place}`);
    }
    if (text.includes(words) && !mayTellWords(place)) told.push(`${words} in ${place}`);
    if (text.includes(fleetKey) && !place.endsWith('fleet.key')) told.push(`the fleet key in ${place}`);
  }
  assert.deepEqual(told, []);
  assert.ok(Object.keys(emitted).length > 40, 'everything was looked at');
  assert.ok(emitted['berth logs'].includes(words), 'an operator reads the words');
});
