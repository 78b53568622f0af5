// Every option set of specs/ as a service with running tasks: deployed by the real program, called by a real
// client through the emulated load balancer, destroyed, and nothing is left that costs money. Each set is
// deployed as it stands there, but for its name, the processor (this machine's), what its server is (a static
// program that speaks MCP), and the ids of what an account has before (account.py makes it).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { commandLine, descendants, root } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';
import { Cloud, example, Project } from '../support/cloud.mjs';

const specs = join(root, 'test/aws/specs');
const names = readdirSync(specs).filter((name) => name.endsWith('.yaml'))
  .map((name) => basename(name, '.yaml'));
const hello = example('hello');
const greet = { name: 'greet', arguments: { name: 'Ada' } };
const alice = 'alice-0123456789abcdef0123456789abcdef';

/// What is particular to a set: the variables of who deploys, the key and the path of callers, and what is
/// looked at while it runs.
const particular = {
  open: { key: null, tool: { name: 'whoami', arguments: {} } },
  kms: {
    variables: { TOKEN: 'for the server alone' },
    look: ({ given }) => assert.deepEqual(given('TOKEN'), ['for the server alone']),
  },
  secrets: {
    variables: { TOKEN: 'one', ALICE_KEY: alice }, key: alice, path: '/files/mcp',
    look: async ({ given, url, headers }) => {
      assert.deepEqual(given('TOKEN'), ['one']);
      assert.deepEqual(given('DATABASE'), ['postgres://db/orders']);
      await callOnce(`${url}/other/mcp`, headers, greet);
      assert.deepEqual([...upstream.seen], ['Bearer let-me-in']);
    },
  },
};

/// Connects, lists the tools, calls one.
async function callOnce(url, headers, tool) {
  const client = await sdkClients['SDK 2.x auto'](url, headers);
  const { tools } = await client.listTools();
  assert.ok(tools.some(({ name }) => name === tool.name), JSON.stringify(tools));
  const result = await client.callTool(tool);
  assert.ok(!result.isError, JSON.stringify(result));
  await client.finish();
}

/// An MCP server outside of AWS: its address, and what callers sent as Authorization.
const upstream = {
  seen: new Set(),
  async start() {
    this.server = spawn(hello, ['--http', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const told = await new Promise((done) => this.server.stderr.once('data', done));
    const { port } = new URL(/http:\S+/.exec(told)[0].replace(/,$/, ''));
    this.door = createServer((asked, answer) => {
      this.seen.add(asked.headers.authorization);
      const { method, url: path, headers } = asked;
      const inner = request({ host: '127.0.0.1', port, method, path, headers }, (answered) => {
        answer.writeHead(answered.statusCode, answered.headers);
        answered.pipe(answer);
      });
      asked.pipe(inner);
    });
    await new Promise((done) => this.door.listen(0, '127.0.0.1', done));
    return `127.0.0.1:${this.door.address().port}`;
  },
  stop() {
    this.server?.kill();
    this.door?.close();
  },
};

describe('each option set on AWS', { skip: !hello && 'examples/hello is not built' }, () => {
  let cloud, there, found;

  before(async () => {
    cloud = await Cloud.start({ speed: 10, region: 'eu-central-1' });
    tls.setDefaultCACertificates([cloud.authority]);
    there = await cloud.account('furnish');
    there['10.1.2.3:8000'] = await upstream.start();
    await cloud.account('search');
    found = await cloud.account('left');
  });
  after(async () => {
    upstream.stop();
    await cloud?.stop();
  });

  /// The set as it is deployed here, with what has to be in the account for it alone.
  async function specOf(name) {
    const domain = `${name}.example.com`;
    const { id } = await cloud.control('furnish', { zone: domain });
    const { arn } = await cloud.control('furnish', { certificate: domain });
    const changes = {
      ...there, 'name: orders': `name: ${name}`, '[node, server.js]': '[./hello, --stdio]',
      'mcp.example.com': domain, Z0123456789ABC: id,
      'arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d': arn,
      'architecture: x86_64': 'architecture: own', 'architecture: arm64': 'architecture: own',
    };
    let text = readFileSync(join(specs, `${name}.yaml`), 'utf8');
    for (const [said, meant] of Object.entries(changes)) text = text.replaceAll(said, meant);
    return text;
  }

  /// The values that the servers of a service's tasks have for a variable, each once.
  async function givenTo(service) {
    const tasks = await cloud.running(service);
    const servers = tasks.flatMap(({ pid }) => descendants(pid))
      .filter((pid) => commandLine(pid).includes('--stdio'));
    const environments = servers.map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'));
    return (variable) => [...new Set(environments.map((each) =>
      each.find((entry) => entry.startsWith(`${variable}=`))?.slice(variable.length + 1)))];
  }

  async function deployAndDestroy(name) {
    const { variables, key, path = '/mcp', tool = greet, look } = particular[name] ?? {};
    const project = new Project(cloud, await specOf(name));
    copyFileSync(hello, join(project.folder, 'hello'));
    Object.assign(project.environment, variables);
    await project.must('deploy', '--yes');
    const { url } = project.record();
    const headers = key === undefined ? await project.authorization(`${name}-base`)
      : key === null ? {} : { authorization: `Bearer ${key}` };
    await callOnce(url + path, headers, tool);
    const { service } = await project.json('status', '--on', 'aws');
    assert.equal(service.healthy, service.desired);
    assert.equal((await cloud.running(name)).length, service.desired);
    await look?.({ given: await givenTo(name), url, headers });
    await project.must('destroy', '--yes', '--delete-data');
    assert.deepEqual(await cloud.running(name), []);
  }

  describe('several at a time', { concurrency: 2 }, () => {
    for (const name of names) {
      test(`${name} is deployed, called and destroyed`, () => deployAndDestroy(name));
    }
  });

  test('nothing is left that costs money', async () => {
    const left = await cloud.account('left');
    // The traces of all services of the account.
    left['log groups'] = left['log groups'].filter((group) => group !== 'aws/spans');
    assert.deepEqual(left, found);
  });
});
