// Several services in one folder, and several servers in one service: what is done to one leaves the others
// alone.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { until } from '../support/berth.mjs';
import { Cloud, example, Project } from '../support/cloud.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';

const hello = example('hello');
const patience = 120_000;

let cloud;
before(async () => {
  cloud = await Cloud.start({ speed: 20 });
  tls.setDefaultCACertificates([cloud.authority]);
});
after(() => cloud?.stop());

const idsOf = async (service) => (await cloud.running(service)).map(({ id }) => id).sort();

describe('two stages in one folder', () => {
  let project;
  const on = (stage, ...words) => [...words, '--file', `${stage}.yaml`];

  before(async () => {
    project = new Project(cloud, '');
    for (const stage of ['staging', 'prod']) {
      writeFileSync(join(project.folder, `${stage}.yaml`), `name: ${stage}\nserver: {builtin: workspace}\n`);
      await project.must(...on(stage, 'deploy', '--yes'));
    }
  });

  const fileSystems = async () => (await cloud.control('left')).file_systems.length;
  const buckets = async (stage) =>
    (await cloud.control('left')).buckets.filter((name) => name.startsWith(`${stage}-`)).length;

  test('a running service is drawn', async () => {
    const { out } = await project.must(...on('prod', 'diagram', '--on', 'aws'));
    assert.match(out, /flowchart|graph/);
    const image = join(project.folder, 'prod.svg');
    await project.must(...on('prod', 'diagram', '--on', 'aws', '-o', image));
    assert.match(readFileSync(image, 'utf8'), /<svg[^]*prod/);
  });

  test('an alarm by which an idle service has fewer tasks is no fault', async () => {
    await until('the alarm to ring', async () => {
      const { alarms } = await cloud.control('watch');
      return Object.entries(alarms).some(([name, state]) => /^prod-.*Low/.test(name) && state === 'ALARM');
    }, patience);
    for (const verb of ['status', 'doctor']) {
      const { out } = await project.must(...on('prod', verb, '--on', 'aws'));
      assert.match(out, /alarms +none of \d+ tells of a fault/, verb);
    }
  });

  test('one is destroyed with its data, and the other has all of its own', async () => {
    const tasks = await idsOf('prod');
    assert.deepEqual([await fileSystems(), await buckets('prod')], [2, 2]);
    await project.must(...on('staging', 'destroy', '--delete-data', '--yes'));
    assert.deepEqual([await fileSystems(), await buckets('prod'), await buckets('staging')], [1, 2, 0]);
    assert.deepEqual(await idsOf('prod'), tasks);
    const { service } = await project.json(...on('prod', 'status', '--on', 'aws'));
    assert.equal(service.healthy, service.desired);
  });

  test('a new name in the file does not cost the service of the old one its data', async () => {
    writeFileSync(join(project.folder, 'prod.yaml'), 'name: other\nserver: {builtin: workspace}\n');
    await project.must(...on('prod', 'destroy', '--delete-data', '--yes'));
    assert.deepEqual([await fileSystems(), await buckets('prod'), (await idsOf('prod')).length], [1, 2, 3]);
    writeFileSync(join(project.folder, 'prod.yaml'), 'name: prod\nserver: {builtin: workspace}\n');
    await project.must(...on('prod', 'destroy', '--delete-data', '--yes'));
    assert.deepEqual([await fileSystems(), await buckets('prod')], [0, 0]);
  });
});

/// An MCP server outside of AWS.
async function startUpstream() {
  const server = spawn(hello, ['--http', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const told = await new Promise((done) => server.stderr.once('data', done));
  return { server, url: /http:[^\s,]+/.exec(told)[0] };
}

describe('a service of two servers', { skip: !hello && 'examples/hello is not built' }, () => {
  let project, upstream, said = '';
  const yaml = (url, more = '') => 'name: pair\nservers:\n  ws: {builtin: workspace, start_timeout: 5s}\n' +
    `  remote: {url: "${url}?key=marker-in-url", start_timeout: 5s, headers: {X-Key: "\${TOKEN}"}}\n${more}`;

  before(async () => {
    upstream = await startUpstream();
    project = new Project(cloud, yaml(upstream.url));
    project.environment.TOKEN = 'marker-in-variable';
    await run('deploy', '--yes');
  });
  after(() => upstream?.server.kill());

  /// A verb, whose words are kept.
  async function run(...args) {
    const done = await project.berth(...args);
    said += done.out + done.err;
    return done;
  }

  /// The status of the server's answer, or that it is an error in band.
  async function ask(server, method, params = {}) {
    const answer = await fetch(`${project.record().url}/${server}/mcp`, {
      method: 'POST', body: modernBody(1, method, params),
      headers: { ...await project.authorization('pair-base'), ...modernHeaders(method, params.name) } });
    const text = await answer.text();
    return /"error":/.test(text) ? 'error' : answer.status;
  }
  const list = (server) => ask(server, 'tools/list');

  test('a deploy after which one is silent that was not is undone, and says why', async () => {
    project.write(yaml('http://127.0.0.1:9/mcp'));
    const { code, out, err } = await run('deploy', '--yes');
    assert.equal(code, 1, out + err);
    assert.match(err, /remote does not answer: [^]*which therefore was undone/);
    assert.doesNotMatch(err, /ws does not answer/);
    assert.equal(await list('remote'), 200);
    project.write(yaml(upstream.url));
  });

  test('one that goes down later costs no task its life and no caller of the other a call', async () => {
    const tasks = await idsOf('pair');
    upstream.server.kill('SIGKILL');
    const end = performance.now() + 15_000;     // five minutes of ECS's clock
    const statuses = { ws: new Set(), remote: new Set() };
    while (performance.now() < end) {
      statuses.ws.add(await list('ws'));
      statuses.remote.add(await ask('remote', 'tools/call', { name: 'greet', arguments: { name: 'you' } }));
    }
    assert.deepEqual([...statuses.ws], [200]);
    assert.ok(statuses.remote.has('error'), [...statuses.remote].join());
    assert.deepEqual(await idsOf('pair'), tasks);
  });

  test('a deploy while one is silent names it, and is not undone', async () => {
    project.write(yaml(upstream.url, 'limits: {sessions_max: 9000}\n'));
    const { code, out, err } = await run('deploy', '--yes');
    assert.equal(code, 1, out + err);
    assert.match(err, /not every server[^]*remote does not answer: /);
    assert.doesNotMatch(err, /undone/);
    assert.equal(await list('ws'), 200);
    const looked = await run('doctor', '--on', 'aws');
    assert.match(looked.out, /server +tools\/list fails: remote: /);
    assert.doesNotMatch(looked.out, /ws: /);
  });

  test('no verb tells the query of a url, the value of a variable, or the key', async () => {
    for (const verb of [['plan'], ['status', '--on', 'aws'], ['doctor', '--on', 'aws'], ['audit'], ['cost'],
      ['diagram', '--on', 'aws'], ['logs', '-n', '500', '--on', 'aws'], ['traces', '--on', 'aws']]) {
      await run(...verb);
    }
    assert.match(said, /remote does not answer/);
    const { authorization } = await project.authorization('pair-base');
    for (const secret of ['marker-in-url', 'marker-in-variable', authorization.slice('Bearer '.length)]) {
      const at = said.indexOf(secret);
      assert.equal(at, -1, said.slice(Math.max(0, at - 300), at + 100));
    }
    await project.must('destroy', '--delete-data', '--yes');
  });
});
