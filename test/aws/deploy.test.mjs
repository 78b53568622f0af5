// From source to a service "on ECS", by the real program, as a user whose only policy is the one that
// `berth plan --iam` prints; then everything that an operator does with it until it is gone.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { until } from '../support/berth.mjs';
import { calls, isRight, sdkClients } from '../support/clients.mjs';
import { Cloud, Project } from '../support/cloud.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';

const yaml = (more = '') =>
  `name: trial\nserver: {builtin: workspace}\ntasks: {count: 3, zones: [a, b, c]}\n${more}`;

describe('a service on AWS', () => {
  let cloud, project, url, headers;

  before(async () => {
    cloud = await Cloud.start();
    const author = new Project(cloud, yaml());
    const policy = await author.json('plan', '--iam');
    const statements = [policy].flat().flatMap((part) => part.Statement);
    const user = await cloud.control('user', {
      name: 'deployer', policy: { Version: '2012-10-17', Statement: statements },
    });
    project = new Project(cloud, yaml(), user);
    tls.setDefaultCACertificates([cloud.authority]);
  });
  after(() => cloud?.stop());

  /// Connects and calls `whoami` until every task has answered (a legacy session stays with its task); the
  /// zones that did.
  async function zones(connectTo) {
    const seen = new Set();
    await until('an answer from every zone', async () => {
      const client = await connectTo(`${url}/mcp`, headers);
      const result = await client.callTool({ name: 'whoami', arguments: {} });
      await client.finish();
      assert.ok(isRight(result, calls.workspace), JSON.stringify(result));
      seen.add(/zone\W+([\w-]+)/.exec(JSON.stringify(result))[1].at(-1));
      return seen.size === 3;
    });
    return [...seen].sort();
  }

  test('plan tells what would be made and changes nothing', async () => {
    await cloud.forget();
    const { out } = await project.must('plan');
    for (const word of ['VPC', 'load balancer', 'month']) assert.match(out, new RegExp(word, 'i'));
    assert.deepEqual(await cloud.changes(), []);
  });

  test('deploy ends with three tasks in three zones and a proven URL', async () => {
    const { out } = await project.must('deploy', '--yes');
    assert.match(out, /claude mcp add/);
    url = project.record().url;
    assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
    const running = await cloud.running('trial');
    assert.deepEqual(running.map((task) => task.zone.at(-1)).sort(), ['a', 'b', 'c']);
    headers = await project.authorization();
  });

  test('nobody comes in without the key', async () => {
    const answer = await fetch(`${url}/mcp`, { method: 'POST', body: '{}' }).catch((error) => error);
    assert.equal(answer.status ?? String(answer.cause), 401);
  });

  for (const [name, connectTo] of Object.entries(sdkClients)) {
    test(`${name} calls a tool on every task through the load balancer`, async () => {
      assert.deepEqual(await zones(connectTo), ['a', 'b', 'c']);
    });
  }

  test('a second deploy of the same changes nothing', async () => {
    await cloud.forget();
    const { out, err } = await project.must('deploy', '--yes');
    assert.match(out + err, /was as it should be/);
    const changes = await cloud.changes();
    assert.deepEqual(changes.filter((action) => /cloudformation|ecs|PutImage/.test(action)), []);
  });

  test('status, logs, traces, doctor and connect speak of the tasks on AWS', async () => {
    const status = await project.json('status', '--on', 'aws');
    assert.equal(status.service.healthy, 3, JSON.stringify(status));
    const { out: logs } = await project.must('logs', '--on', 'aws');
    assert.match(logs, /task_listening|listening/);
    const { out: doctor } = await project.must('doctor', '--on', 'aws');
    assert.doesNotMatch(doctor, /✗/);
    const trace = Math.floor(Date.now() / 1000).toString(16).padStart(8, '0') + 'a'.repeat(24);
    const answer = await fetch(`${url}/mcp`, {
      method: 'POST',
      headers: {
        ...headers, ...modernHeaders('tools/call', 'whoami'), traceparent: `00-${trace}-${'b'.repeat(16)}-01`,
      },
      body: modernBody(1, 'tools/call', { name: 'whoami', arguments: {} }),
    });
    assert.equal(answer.status, 200);
    await until('the trace of that call', async () => {
      const { out: traces } = await project.must('traces', '--on', 'aws');
      return /whoami/.test(traces);
    });
    const { out: connect } = await project.must('connect', '--on', 'aws');
    assert.match(connect, /claude mcp add/);
  });

  test('the audit of what runs finds nothing that the templates do not have', async () => {
    const failed = async (...where) => (await project.json('audit', ...where)).checks
      .filter(({ verdict, severity }) => verdict === 'fail' && severity !== 'low').map(({ id }) => id);
    assert.deepEqual(await failed('--on', 'aws'), []);
    assert.deepEqual(await failed(), []);
  });

  test('a change is planned, rolled out without a failed call, and rolled back', async () => {
    project.write(yaml('limits: {sessions_max: 9000}\n'));
    const { out: plan } = await project.must('plan');
    assert.match(plan, /image|task/i);
    const before = new Set((await cloud.running('trial')).map((task) => task.id));
    const caller = await sdkClients['SDK 2.x auto'](`${url}/mcp`, headers);
    let answered = 0;
    let over = false;
    const calling = (async () => {
      while (!over) {
        const result = await caller.callTool({ name: 'whoami', arguments: {} });
        if (isRight(result, calls.workspace)) answered += 1;
      }
    })();
    await project.must('deploy', '--yes');
    over = true;
    await calling;
    await caller.finish();
    assert.ok(answered > 20, `${answered} calls during the roll-out`);
    await until('new tasks alone', async () => {
      const now = await cloud.running('trial');
      return now.length === 3 && now.every((task) => !before.has(task.id));
    });
    const images = (await cloud.running('trial')).map((task) => task.definition);
    await project.must('rollback', '--yes');
    await until('tasks of another revision', async () => {
      const now = await cloud.running('trial');
      return now.length === 3 && now.every((task) => !images.includes(task.definition));
    });
    assert.deepEqual(await zones(sdkClients['SDK 2.x auto']), ['a', 'b', 'c']);
  });

  test('with any one statement of the roles removed something fails, with all of them nothing', async () => {
    const roles = Object.entries(await cloud.control('without'))
      .filter(([role]) => /ExecutionRole|TaskRole/.test(role));
    assert.equal(roles.length, 2);
    for (const [role, policies] of roles) {
      for (const [policy, statements] of Object.entries(policies)) {
        for (const [statement, words] of statements.entries()) {
          await cloud.forget();
          await cloud.control('without', { role, policy, statement });
          const [lost] = await cloud.running('trial');
          await cloud.control('kill', { task: lost.id });
          await until(`a failure without ${JSON.stringify(words)}`, someFailure);
          await cloud.control('without', {});
          await until('three tasks again', async () => (await cloud.running('trial')).length === 3);
        }
      }
    }
    await cloud.forget();
    assert.deepEqual(await zones(sdkClients['SDK 2.x auto']), ['a', 'b', 'c']);
    const made = await cloud.control('calls');
    assert.deepEqual(made.filter(([, caller, status]) => /assumed-role/.test(caller) && status >= 400), []);
  });

  /// A refused call of a task or of what starts it; asks the service meanwhile, so that it has spans to send.
  async function someFailure() {
    const client = await sdkClients['SDK 2.x auto'](`${url}/mcp`, headers);
    await client.callTool({ name: 'whoami', arguments: {} });
    await client.finish();
    const made = await cloud.control('calls');
    return made.some(([, caller, status]) => /assumed-role/.test(caller) && status >= 400);
  }

  test('scale changes the number of tasks', async () => {
    for (const count of [5, 3]) {
      await project.must('scale', String(count), '--on', 'aws', '--yes');
      await until(`${count} tasks`, async () => (await cloud.running('trial')).length === count);
    }
  });

  test('a lost task is replaced while calls go on', async () => {
    const [lost] = await cloud.running('trial');
    await cloud.control('kill', { task: lost.id });
    await until('three healthy targets without it', async () => {
      const { tasks, targets } = await cloud.control('state');
      return tasks.find((task) => task.id === lost.id).status === 'STOPPED' &&
        targets.filter((target) => target.state === 'healthy').length === 3;
    });
    assert.deepEqual(await zones(sdkClients['SDK 1.x']), ['a', 'b', 'c']);
  });

  test('destroy asks what becomes of the data, and leaves nothing once told', async () => {
    const refused = await project.berth('destroy', '--yes');
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /--keep-data|--delete-data/);
    assert.equal((await cloud.running('trial')).length, 3);
    await project.must('destroy', '--yes', '--delete-data');
    assert.equal((await cloud.running('trial')).length, 0);
    assert.deepEqual(Object.keys(await cloud.control('secrets')), []);
    const left = await cloud.control('left');
    assert.deepEqual(left, { buckets: [], file_systems: [], repositories: [], load_balancers: [], vpcs: [],
      log_groups: left.log_groups.filter((name) => name === 'aws/spans'), stacks: [] });
  });
});
