// What a service on AWS does by itself, seen through the real program: more tasks under load and fewer
// without, none outside the hours, back to the former revision when calls fail, a container started again in
// its task, tasks and zones that are lost while calls go on.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { until } from '../support/berth.mjs';
import { Cloud, Project } from '../support/cloud.mjs';
import { modernBody, modernHeaders } from '../support/http.mjs';

const settings = `
scaling:
  min: 3
  max: 5
  calls_per_task: 8
  high_resolution: true
  hours: {days: mon-fri, from: "07:00", to: "20:00", timezone: Europe/Berlin}
aws: {bake: 5m}
`;
const yaml = (more = '') =>
  `name: trial\nserver: {builtin: workspace}\ntasks: {count: 3, zones: [a, b, c]}\n${settings}${more}`;

describe('a service on AWS by itself', () => {
  let cloud, project, url, headers;

  before(async () => {
    // A minute of metrics, alarms and cooldowns takes half a second.
    cloud = await Cloud.start({ watchSpeed: 120 });
    await cloud.control('time', { now: '2026-11-23T12:00:00+01:00' });
    project = new Project(cloud, yaml());
    tls.setDefaultCACertificates([cloud.authority]);
    await project.must('deploy', '--yes');
    url = `${project.record().url}/mcp`;
    headers = await project.authorization();
  });
  after(() => cloud?.stop());

  /// Its exit code says whether the service is well, which it need not be here.
  const status = async () => JSON.parse((await project.berth('status', '--on', 'aws', '--json')).out);

  /// Until that many tasks, and no other, are wanted, run and are used.
  const settled = (count, what) => until(what ?? `${count} healthy tasks`, async () => {
    const { targets } = await cloud.control('state');
    const { length } = await cloud.running('trial');
    const { service } = length === count ? await status() : {};
    return service?.desired === count && service.running === count && service.healthy === count &&
      targets.length === count;
  });

  async function call(tool, given = {}) {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, ...modernHeaders('tools/call', tool) },
      body: modernBody(1, 'tools/call', { name: tool, arguments: given }),
    });
    const text = await answer.text();
    return { status: answer.status, text, right: answer.status === 200 && /zone/.test(text) };
  }

  /// Calls one after the other, from `callers` at once, while `work` goes on. {answered, failed, twice}: what
  /// failed once, and what a client that tries again for three seconds did not get answered.
  async function meanwhile(callers, work) {
    const seen = { answered: 0, failed: [], twice: [] };
    let over = false;
    const once = () => call('whoami')
      .catch((error) => ({ right: false, text: String(error.cause ?? error) }));
    const calling = Array.from({ length: callers }, async () => {
      while (!over) {
        const first = await once();
        if (!first.right) seen.failed.push(first);
        let last = first;
        const end = Date.now() + 3000;
        while (!last.right && Date.now() < end) last = await once();
        if (!last.right) seen.twice.push(last);
        else seen.answered += 1;
      }
    });
    try {
      await work();
    } finally {
      over = true;
      await Promise.all(calling);
    }
    return seen;
  }

  test('CPU and memory of the tasks are measured, and they are used a little', async () => {
    const metrics = await until('values of every metric', async () => {
      const found = Object.fromEntries((await cloud.control('metrics')).map((row) => [row.name, row]));
      return ['CPUUtilization', 'MemoryUtilization', 'CallsInFlight', 'HealthyHostCount']
        .every((name) => found[name]) && found;
    });
    assert.deepEqual(metrics.CPUUtilization.dimensions, { ClusterName: 'trial', ServiceName: 'trial' });
    assert.ok(metrics.CPUUtilization.value >= 0 && metrics.CPUUtilization.value <= 110);
    assert.ok(metrics.MemoryUtilization.value > 0.1 && metrics.MemoryUtilization.value < 20);
    assert.equal(metrics.HealthyHostCount.value, 3);
  });

  test('much CPU adds a task, and so do calls that wait; idleness takes them away again', async () => {
    await cloud.control('metrics', { 'AWS/ECS CPUUtilization': 85 });
    await until('a fourth task', async () => (await status()).service.desired === 4);
    await cloud.control('metrics', { 'AWS/ECS CPUUtilization': 50 });
    let over = false;
    const waiting = Array.from({ length: 48 }, async () => {
      while (!over) await call('countdown', { from: 4, step_ms: 250 });
    });
    await until('a fifth task', async () => (await status()).service.desired === 5);
    over = true;
    await Promise.all(waiting);
    await cloud.control('metrics', {});
    await settled(3);
    const { activities } = await cloud.control('watch');
    assert.deepEqual(activities.map(({ Description }) => /\d/.exec(Description)[0]), ['3', '4', '5', '4']);
    const causes = activities.map(({ Cause }) => /triggered policy (.*)/.exec(Cause)[1]);
    assert.deepEqual(causes, ['cpu-in', 'cpu-in', 'calls-per-task', 'cpu-out']);
  });

  test('an idle service keeps its fewest tasks', async () => {
    const idle = async () => {
      const { alarms } = await cloud.control('watch');
      return alarms[Object.keys(alarms).find((name) => /CpuLow/.test(name))] === 'ALARM';
    };
    await until('the alarm of an idle service', idle);
    assert.equal((await status()).service.desired, 3);
  });

  test('a container that ends is started again in its task', async () => {
    const [task] = await cloud.running('trial');
    await cloud.control('crash', { task: task.id });
    await until('the container again', async () => {
      const now = (await cloud.running('trial')).find(({ id }) => id === task.id);
      return now?.restarts === 1 && now.health === 'HEALTHY' && now.pid !== task.pid;
    });
    await settled(3);
    assert.ok((await cloud.running('trial')).some(({ id }) => id === task.id));
  });

  test('a task that Spot takes back finishes its calls, and no call fails', async () => {
    let taken;
    const seen = await meanwhile(4, async () => {
      taken = (await cloud.control('spot', {})).task;
      await until('the end of the task', async () => {
        const { tasks } = await cloud.control('state');
        return tasks.find(({ id }) => id === taken).status === 'STOPPED';
      });
      await settled(3);
    });
    assert.deepEqual(seen.failed, []);
    assert.ok(seen.answered > 20, `${seen.answered} calls`);
    const { tasks } = await cloud.control('state');
    const task = tasks.find(({ id }) => id === taken);
    assert.equal(task.stop_code, 'SpotInterruption');
    assert.equal(task.exit_code, 0);
  });

  test('a lost zone costs the calls in flight there, and is used again when it is back', async () => {
    const zones = async () => (await cloud.running('trial')).map((task) => task.zone.at(-1)).sort().join('');
    const seen = await meanwhile(4, async () => {
      await cloud.control('zone', { lose: 'b' });
      await settled(3);
    });
    assert.deepEqual(seen.twice, []);
    assert.ok(seen.failed.length <= 8, JSON.stringify(seen.failed));
    assert.match(await zones(), /^[ac]{3}$/);
    const again = await meanwhile(4, async () => {
      await cloud.control('zone', { back: 'b' });
      await until('a task in every zone', async () => await zones() === 'abc');
      await settled(3);
    });
    assert.deepEqual(again.failed, []);
  });

  test('a revision that answers with errors is taken back, and deploy says why', async () => {
    const before = (await cloud.running('trial'))[0].definition;
    project.write(yaml('limits: {sessions_max: 1}\n'));
    let over = false;
    const initialize = JSON.stringify({
      jsonrpc: '2.0', id: 1, method: 'initialize', params: {
        protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'berth-test', version: '1' },
      },
    });
    // A session with a stream makes no room for another one of the same caller, so the next ones are refused.
    const streams = [];
    const hold = (session) => {
      const stream = new AbortController();
      streams.push(stream);
      if (streams.length > 12) streams.shift().abort();
      fetch(url, {
        headers: {
          ...headers, accept: 'text/event-stream', 'mcp-session-id': session,
          'mcp-protocol-version': '2025-11-25',
        },
        signal: stream.signal,
      }).then((answer) => answer.text()).catch(() => {});
    };
    const calling = (async () => {
      while (!over) {
        await fetch(url, {
          method: 'POST', body: initialize,
          headers: {
            ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
          },
        }).then(async (answer) => {
          await answer.text();
          if (answer.status === 200) hold(answer.headers.get('mcp-session-id'));
        }).catch(() => {});
      }
      for (const stream of streams) stream.abort();
    })();
    const { code, out, err } = await project.berth('deploy', '--yes');
    over = true;
    await calling;
    assert.notEqual(code, 0, out + err);
    assert.match(out + err, /5xx/);
    await settled(3);
    assert.ok((await cloud.running('trial')).every(({ definition }) => definition === before));
    assert.ok((await call('whoami')).right);
  });

  test('outside the hours no task runs, a deploy at night leaves it so, and they come back', async () => {
    await cloud.control('time', { now: '2026-11-23T19:59:30+01:00' });
    await settled(0, 'no task');
    assert.deepEqual((await status()).scaling.schedules.length, 2);
    assert.equal((await call('whoami')).status, 503);
    project.write(yaml('limits: {sessions_max: 9000}\n'));
    const { out } = await project.must('deploy', '--yes');
    assert.match(out, /no task runs at this hour/);
    await settled(0);
    await cloud.control('time', { now: '2026-11-24T06:59:30+01:00' });
    await settled(3);
    assert.ok((await call('whoami')).right);
  });
});
