// Each way to a service, from source to a client's call through the emulated load balancer: the C++ servers
// of examples/, an npm server started by npx, a folder with package.json, a Dockerfile, and an image that is
// built already. Each is deployed, called and destroyed, and changed and rolled back where that differs.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { execute, program, Service, until } from '../support/berth.mjs';
import { calls, isRight, sdkClients } from '../support/clients.mjs';
import { Cloud, example, Project } from '../support/cloud.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';
import { has, imageTool, node, npmEnvironment, Workshop } from '../support/images.mjs';

const examples = { hello: example('hello'), trip_planner: example('trip_planner') };
const engine = ['podman', 'buildah'].find((name) => has[name]);
const patience = 120_000;  // on a machine that has more to do
const greet = { name: 'greet', arguments: { name: 'Ada' } };
const lacks = (...reasons) => reasons.find((reason) => reason) ?? false;
const noExamples = !(examples.hello && examples.trip_planner) && 'the examples are not built';
const noTool = !imageTool && 'image_tool is not built';
const noNode = !node && 'there is no node among the npm packages';
const noNpm = !has.npm && 'there is no npm';

/// A server that speaks MCP over stdio without any library, but with a dependency of its own.
const source = (word) => `import { greeting } from 'words';
import { createInterface } from 'node:readline';
const tool = { name: 'say', description: 'Says a word.', inputSchema: { type: 'object' } };
const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'say', version: '1' } }),
  'tools/list': () => ({ tools: [tool] }),
  'tools/call': () => ({ content: [{ type: 'text', text: greeting('${word}') }] }),
  ping: () => ({}),
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const answer = answers[method];
  const outcome = answer ? { result: answer(params) } : { error: { code: -32601, message: 'unknown' } };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }) + '\\n');
});
`;

const teller = example('environment_server', 'test/conformance');
test('a C++ server has in its environment what its env says', {
  skip: !teller && 'environment_server is not built' }, async (t) => {
  const service = await Service.start(t, `server: {native: "${teller}", env: {WHERE: "at \${HOME}"}}\n`);
  const client = await sdkClients['SDK 1.x'](await service.url());
  const { content } = await client.callTool({ name: 'variable', arguments: { name: 'WHERE' } });
  await client.finish();
  assert.equal(content[0].text, `at ${service.folder}`);
});

describe('examples on AWS', { concurrency: 3 }, () => {
  let shop, cloud, base, registry;

  before(async () => {
    shop = new Workshop();
    cloud = await Cloud.start({ speed: 5 });
    tls.setDefaultCACertificates([cloud.authority]);
    registry = await shop.startRegistry('registry');
    if (node && imageTool) base = await shop.pushNode(registry);
    await cloud.account('search');
  });
  after(async () => {
    await cloud?.stop();
    await shop?.end();
  });

  /// A folder with berth.yaml and the files (name → text), and what engines and npm need around it.
  function folderWith(yaml, files = {}) {
    const project = new Project(cloud, yaml);
    Object.assign(project.environment, shop.containers, npmEnvironment);
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(project.folder, name)), { recursive: true });
      writeFileSync(join(project.folder, name), text);
    }
    return project;
  }

  /// Deploys; the service's name, its URL and the header that opens it.
  async function deploy(project, name, ...words) {
    const { out } = await project.must('deploy', '--yes', ...words);
    assert.match(out, /claude mcp add/);
    const headers = await project.authorization(`${name}-base`);
    return { url: `${project.record().url}/mcp`, headers };
  }

  /// Calls a tool several times over one connection, so that every task gets its share; the last text.
  async function call({ url, headers }, tool, connectTo = sdkClients['SDK 1.x']) {
    const client = await connectTo(url, headers);
    let result;
    for (let i = 0; i < 6; ++i) {
      result = await client.callTool(tool);
      assert.ok(!result.isError, JSON.stringify(result));
    }
    await client.finish();
    return result.content[0].text;
  }

  async function destroy(project, name) {
    await project.must('destroy', '--yes', '--delete-data');
    assert.deepEqual(await cloud.running(name), []);
  }

  test('C++ servers, with the whole life of a service', { skip: noExamples }, async () => {
    const name = 'native';
    const project = folderWith(`name: ${name}\nserver: {native: ./server}\n`);
    copyFileSync(examples.hello, join(project.folder, 'server'));
    const service = await deploy(project, name);
    for (const connectTo of Object.values(sdkClients)) {
      assert.match(await call(service, greet, connectTo), /Hello, Ada!/);
    }
    const seen = await trace(project, service);
    copyFileSync(examples.trip_planner, join(project.folder, 'server'));
    const { out: changed } = await project.must('deploy', '--yes');
    assert.match(changed, /the image alone/);
    assert.match(await planTrip(service), /bicycle/);
    await project.must('rollback', '--yes');
    assert.match(await call(service, greet), /Hello, Ada!/);
    await project.must('scale', '2', '--on', 'aws', '--yes');
    await until('two tasks', async () => (await cloud.running(name)).length === 2, patience);
    assert.match((await project.must('logs', '-n', '500', '--on', 'aws')).out, /task_listening/);
    assert.match(seen, /greet/);
    await destroy(project, name);
  });

  /// Calls with a trace that is sampled, and what `berth traces` says of it.
  async function trace(project, { url, headers }) {
    const id = Math.floor(Date.now() / 1000).toString(16).padStart(8, '0') + 'c'.repeat(24);
    const answer = await fetch(url, {
      method: 'POST', body: modernBody(1, 'tools/call', greet), headers: {
        ...headers, ...modernHeaders('tools/call', 'greet'), traceparent: `00-${id}-${'d'.repeat(16)}-01` },
    });
    assert.equal(answer.status, 200);
    return until('the trace of that call', async () => {
      const { out } = await project.must('traces', '--on', 'aws');
      return /greet/.test(out) && out;
    }, patience);
  }

  /// The tool of trip_planner asks its user in the middle of a call.
  async function planTrip({ url, headers }) {
    const client = new Client({ name: 'traveller', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, () => (
      { action: 'accept', content: { means: 'bicycle', window_seat: false } }));
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    const result = await client.callTool({ name: 'plan', arguments: { city: 'Berlin', days: 1 } });
    await client.close();
    assert.ok(!result.isError, JSON.stringify(result));
    return JSON.stringify(result.structuredContent);
  }

  test('server-everything by npx, without an engine', { skip: lacks(noNode, noNpm, noTool) }, async () => {
    const name = 'everything';
    const project = folderWith(`name: ${name}\nserver:\n` +
      '  command: [npx, -y, "@modelcontextprotocol/server-everything@2026.8.31"]\n' +
      `tasks: {count: 3, zones: [a, b, c], cpu: 0.5, memory: 1GB}\nimage: {base: "${base}"}\n`);
    const service = await deploy(project, name);
    const { tool, arguments: words } = calls.everything;
    for (const era of ['SDK 1.x', 'SDK 2.x auto']) {
      assert.match(await call(service, { name: tool, arguments: words }, sdkClients[era]), /hello/);
    }
    await destroy(project, name);
  });

  test('a folder with package.json: its dependencies, and a change of its source', {
    skip: lacks(noNode, noNpm, noTool) }, async () => {
    const name = 'project';
    const yaml = `name: ${name}\nserver: {command: [node, server.mjs]}\nimage: {base: "${base}"}\n`;
    const project = folderWith(yaml, {
      'package.json': '{"name": "p", "version": "1.0.0", "dependencies": {"words": "file:./words"}}',
      'words/package.json': '{"name": "words", "version": "1.0.0", "type": "module", "main": "index.js"}',
      'words/index.js': 'export const greeting = (word) => `Good ${word}!`;\n',
      'server.mjs': source('morning'),
    });
    const locked = await execute('npm', ['install', '--package-lock-only', '--ignore-scripts'],
      { cwd: project.folder, env: { ...process.env, ...npmEnvironment } });
    assert.equal(locked.code, 0, locked.err);
    const service = await deploy(project, name);
    const say = { name: 'say', arguments: {} };
    assert.equal(await call(service, say), 'Good morning!');
    writeFileSync(join(project.folder, 'server.mjs'), source('evening'));
    const { out } = await project.must('deploy', '--yes');
    assert.match(out, /Push \([^)]*\): 1 layer,/);
    assert.equal(await call(service, say), 'Good evening!');
    await project.must('rollback', '--yes');
    assert.equal(await call(service, say), 'Good morning!');
    await destroy(project, name);
  });

  test('a Dockerfile, by whichever engine is there', {
    skip: lacks(noExamples, !engine && 'there is neither podman nor buildah') }, async () => {
    const name = 'dockerfile';
    const project = folderWith(`name: ${name}\nserver: {command: [/srv/hello, --stdio]}\n`, {
      Dockerfile: 'FROM scratch\nWORKDIR /srv\nCOPY hello /srv/hello\n' });
    copyFileSync(examples.hello, join(project.folder, 'hello'));
    const service = await deploy(project, name);
    assert.match(await call(service, greet), /Hello, Ada!/);
    await destroy(project, name);
  });

  test('an image that a registry has already', { skip: lacks(noTool) }, async () => {
    const name = 'prebuilt';
    const yaml = `name: ${name}\nserver: {builtin: workspace}\n`;
    const push = `${registry}/team/prebuilt:1.0`;
    const store = shop.path('store');
    await shop.image('assemble', { store, berth: program, spec: shop.write('prebuilt.yaml', yaml), push });
    const project = folderWith(yaml);
    const service = await deploy(project, name, '--image', push);
    const client = await sdkClients['SDK 2.x auto'](service.url, service.headers);
    assert.ok(isRight(await client.callTool({ name: 'whoami', arguments: {} }), calls.workspace));
    await client.finish();
    const other = `${registry}/other:1`;
    await shop.image('base', { store, directory: project.folder, push: other });
    const refused = await project.berth('deploy', '--yes', '--image', other);
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /does not start berth: its entry point is empty/);
    await destroy(project, name);
  });
});
