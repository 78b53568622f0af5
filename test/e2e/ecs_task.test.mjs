// `berth serve` as ECS Fargate runs it: two tasks on loopback with an emulated metadata endpoint and an OTLP
// collector, TLS with a certificate of their own, one shared folder, no HOME and a user without rights.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execute, program, settledWithin, temporaryFolder, until, yamlList } from '../support/berth.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';

const apiKey = 'key-of-the-deployed-service';
const fleetKey = 'f'.repeat(44);
const isRoot = process.getuid() === 0;

// A server that tells what it can see of its surroundings.
const nosyServer = `
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const sees = (path) => { try { return readFileSync(path, 'utf8').length > 0; } catch { return false; } };
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  const answer = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
  if (method === 'initialize') {
    answer({ protocolVersion: params.protocolVersion, capabilities: { tools: {} },
      serverInfo: { name: 'nosy', version: '1' } });
  } else if (method === 'tools/list') {
    answer({ tools: [{ name: 'look', inputSchema: { type: 'object' } }] });
  } else if (method === 'tools/call') {
    const text = JSON.stringify({ environment: process.env, meta: params._meta,
      parent: sees('/proc/' + process.ppid + '/environ') });
    answer({ content: [{ type: 'text', text }] });
  } else if (id !== undefined) {
    console.log(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } }));
  }
}
`;

/// A service on a free port of loopback: {url, close}.
function listen(handler) {
  return new Promise((done) => {
    const server = http.createServer(handler);
    server.listen(0, '127.0.0.1', () => {
      const close = () => new Promise((closed) => {
        server.close(closed);
        server.closeAllConnections();
      });
      done({ url: `http://127.0.0.1:${server.address().port}`, close });
    });
  });
}

const bodyText = async (request) => {
  let text = '';
  for await (const part of request) text += part;
  return text;
};

/// One request over TLS without looking at the certificate, as an ALB makes it.
function ask(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((done, failed) => {
    const options = { method, headers, rejectUnauthorized: false, agent: false };
    const request = https.request(url, options, (answer) => {
      const certificate = answer.socket.getPeerCertificate();
      let text = '';
      answer.on('data', (data) => { text += data; });
      answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, text, certificate }));
    });
    request.on('error', failed);
    request.end(body);
  });
}

const call = (task, headers = {}) => ask(`${task.url}/mcp`, {
  method: 'POST', headers: { ...modernHeaders('tools/call', 'look'), 'x-api-key': apiKey, ...headers },
  body: modernBody(1, 'tools/call', { name: 'look', arguments: {} }),
});

class EcsTask {
  constructor(folder, id, environment) {
    this.output = '';
    this.errors = '';
    this.environment = {
      PATH: process.env.PATH, BERTH_TLS: 'self-signed', BERTH_LISTEN: '127.0.0.1:0',
      BERTH_PEER_LISTEN: '127.0.0.1:0', BERTH_DATA: join(folder, 'data'), BERTH_API_KEY: apiKey,
      BERTH_FLEET_KEY: fleetKey, BERTH_HOSTS: 'mcp.example.com', BERTH_METRICS: 'emf',
      BERTH_METRICS_PERIOD: '1', BERTH_TRACES: 'otlp', BERTH_TRACES_RATIO: '1',
      GREETING: 'from the secret store', AWS_REGION: 'us-west-2',
      BERTH_OTLP_ENDPOINT: `${world.collector.url}/v1/traces`, BERTH_DRAIN_GRACE: '1',
      ECS_CONTAINER_METADATA_URI_V4: `${world.metadata.url}/v4/${id}`, ...environment,
    };
    const identity = isRoot ? { uid: 1000, gid: 1000 } : {};
    this.process = spawn(program, ['serve', '--spec', join(folder, 'berth.yaml')],
      { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', ...identity });
    this.process.stdout.on('data', (data) => { this.output += data; });
    this.process.stderr.on('data', (data) => { this.errors += data; });
    this.ended = new Promise((done) => {
      this.process.on('exit', (code) => { this.code = code; done(code); });
    });
  }

  /// Every line of stdout is one JSON object: a log line or an EMF line.
  lines() { return this.output.split('\n').slice(0, -1).map((line) => JSON.parse(line)); }

  async ready() {
    await until('the task listens', () => {
      if (this.code !== undefined) throw Object.assign(new Error(this.errors + this.output), { final: true });
      const line = this.lines().find(({ event }) => event === 'task_listening');
      if (line) this.url = `https://${line.address}`;
      return line;
    });
    await until('the task is ready', async () => (await ask(`${this.url}/readyz`)).status === 200);
  }
}

const world = { spans: [], tasks: [] };
before(async () => {
  world.folder = temporaryFolder(undefined, 'ecs-task');
  chmodSync(world.folder, 0o755);
  mkdirSync(join(world.folder, 'data'));
  if (isRoot) chownSync(join(world.folder, 'data'), 1000, 1000);
  writeFileSync(join(world.folder, 'nosy.mjs'), nosyServer);
  writeFileSync(join(world.folder, 'berth.yaml'), [
    'name: demo', 'server:', `  command: ${yamlList([process.execPath, join(world.folder, 'nosy.mjs')])}`,
    '  env: {GREETING: "${GREETING}"}', 'tasks: {drain_timeout: 300s}', ''].join('\n'));
  world.metadata = await listen((request, response) => {
    const id = /^\/v4\/(\w+)\/task$/.exec(request.url)?.[1];
    response.writeHead(id ? 200 : 404).end(JSON.stringify({
      Cluster: 'demo', TaskARN: `arn:aws:ecs:us-west-2:111122223333:task/demo/${id}`, Family: 'demo',
      Revision: '7', ServiceName: 'demo', AvailabilityZone: 'us-west-2b',
      Containers: [{ Networks: [{ NetworkMode: 'awsvpc', IPv4Addresses: ['127.0.0.1'] }] }],
    }));
  });
  world.collector = await listen(async (request, response) => {
    const { resourceSpans } = JSON.parse(await bodyText(request));
    world.spans.push(...resourceSpans[0].scopeSpans[0].spans);
    world.resource = resourceSpans[0].resource.attributes;
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  world.tasks = ['one', 'two'].map((id) => new EcsTask(world.folder, id));
  for (const task of world.tasks) await task.ready();
});
after(async () => {
  for (const task of world.tasks) task.process.kill('SIGKILL');
  await world.metadata?.close();
  await world.collector?.close();
});

test('a task speaks TLS, wants the deployed key and answers health checks whoever asks', async () => {
  const [task] = world.tasks;
  const health = await ask(`${task.url}/readyz`, { headers: { host: '10.20.2.106:3000' } });
  assert.equal(health.status, 200);
  assert.equal(health.certificate.subject.CN, 'berth task');
  assert.equal((await call(task, { 'x-api-key': 'wrong' })).status, 401);
  assert.equal((await call(task, { host: 'other.example.com' })).status, 403);
  assert.equal((await call(task, { host: 'mcp.example.com' })).status, 200);
});

test('the hosted server gets its own secret, a HOME to write to and none of the task\'s keys', async () => {
  const answer = await call(world.tasks[0]);
  const { environment, meta, parent } = JSON.parse(JSON.parse(answer.text).result.content[0].text);
  assert.equal(environment.GREETING, 'from the secret store');
  assert.equal(environment.HOME, '/tmp');
  assert.ok(!JSON.stringify(environment).includes(apiKey));
  assert.match(meta.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  if (isRoot) assert.equal(parent, false, 'the environment of the task is not readable');
});

test('tasks find each other with the identities that ECS gave them', async () => {
  for (const task of world.tasks) {
    await until('the sister is known', async () => {
      const { text } = await ask(`${task.url}/metrics`, { headers: { 'x-api-key': apiKey } });
      return text.includes('\nberth_peers 1\n')
        && /berth_task_info\{task="(one|two)",zone="us-west-2b",.*family="demo",revision="7"\} 1/.test(text);
    });
  }
});

test('a traced call leaves a span at the task and one below it, in the caller\'s trace', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  await call(world.tasks[1], { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
  const found = await until('two spans', () => {
    const spans = world.spans.filter(({ traceId }) => traceId === trace);
    return spans.length >= 2 && spans;
  });
  const server = found.find(({ kind }) => kind === 2);
  const client = found.find(({ kind }) => kind === 3);
  assert.equal(server.name, 'tools/call look');
  assert.equal(server.parentSpanId, '00f067aa0ba902b7');
  assert.equal(client.parentSpanId, server.spanId);
  const resource = Object.fromEntries(world.resource.map(({ key, value }) => [key, value.stringValue]));
  assert.equal(resource['service.name'], 'demo');
  assert.equal(resource['cloud.availability_zone'], 'us-west-2b');
});

test('metrics come as EMF lines among the log lines', async () => {
  const [task] = world.tasks;
  await call(task);
  const line = await until('a period with a call',
    () => task.lines().find(({ _aws: aws, Calls: calls }) => aws && calls > 0));
  assert.equal(line.ServiceName, 'demo');
  assert.equal(line._aws.CloudWatchMetrics[0].Namespace, 'Berth');
  assert.ok(line.DurationMs.every((value) => value > 0));
});

test('`berth health` accepts the task\'s certificate, and fails when nobody answers', async () => {
  const [task] = world.tasks;
  const env = { BERTH_TLS: 'self-signed', BERTH_LISTEN: new URL(task.url).host };
  const well = await execute(program, ['health'], { env });
  assert.equal(well.code, 0, well.err);
  const nobody = await execute(program, ['health', 'https://127.0.0.1:1/healthz'], { env });
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /^berth health: https:\/\/127\.0\.0\.1:1\/healthz: /);
});

test('SIGTERM makes a task unready, lets it finish, and its sister forget it', async () => {
  const [task, sister] = world.tasks;
  task.process.kill('SIGTERM');
  await until('unready', async () => (await ask(`${task.url}/readyz`)).status === 503);
  assert.equal((await call(task)).status, 200, 'what a balancer still sends is answered');
  await settledWithin(task.ended, 20_000);
  assert.equal(task.code, 0);
  assert.ok(task.lines().some(({ event }) => event === 'task_drained'));
  await until('the sister is alone', async () => {
    const { text } = await ask(`${sister.url}/metrics`, { headers: { 'x-api-key': apiKey } });
    return text.includes('\nberth_peers 0\n');
  });
});

test('no key or secret is ever written', () => {
  for (const task of world.tasks) {
    for (const secret of [apiKey, fleetKey, 'from the secret store']) {
      assert.ok(!(task.output + task.errors).includes(secret));
    }
  }
});

test('a task that cannot start says in one line why', async () => {
  const cases = [
    [{ GREETING: undefined }, 3, /\$\{GREETING\}, which is not set/],
    [{ BERTH_API_KEY: undefined, BERTH_LISTEN: '0.0.0.0:0' }, 3, /BERTH_API_KEY is not set/],
    [{ BERTH_FLEET_KEY: undefined }, 3, /BERTH_FLEET_KEY is not set/],
    [{ BERTH_TLS: 'yes' }, 3, /BERTH_TLS is 'yes'; write off or self-signed/],
    [{ BERTH_DATA: '/proc/data' }, 1, /making the data folder \/proc\/data/],
    ...(isRoot ? [[{ BERTH_DATA: '/usr' }, 1, /the data folder \/usr must be writable for user 1000/]] : []),
  ];
  for (const [change, code, message] of cases) {
    const task = new EcsTask(world.folder, 'three', change);
    await settledWithin(task.ended, 10_000);
    assert.equal(task.code, code, task.errors + task.output);
    assert.match(task.errors + task.output, message);
  }
});
