// What goes wrong on the way to AWS, ordered from the emulator: each has its message and its way out, and the
// same command again gets there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/berth.mjs';
import { Cloud, Project } from '../support/cloud.mjs';

const yaml = (name, more = '') => `name: ${name}\nserver: {builtin: workspace}\n${more}`;

describe('deploying against the odds', () => {
  let cloud;
  before(async () => { cloud = await Cloud.start({ speed: 20 }); });
  after(() => cloud?.stop());

  /// A deploy that must fail, and what it says.
  async function failure(project, ...args) {
    const { code, out, err } = await project.berth('deploy', '--yes', ...args);
    assert.notEqual(code, 0, out);
    return out + err;
  }

  describe('before anything is made', () => {
    test('no credentials: every place that was looked at is named', async () => {
      const project = new Project(cloud, yaml('none'));
      delete project.environment.AWS_ACCESS_KEY_ID;
      delete project.environment.AWS_SECRET_ACCESS_KEY;
      assert.match(await failure(project), /AWS_ACCESS_KEY_ID[\s\S]*credentials/);
    });

    test('expired credentials', async () => {
      const user = await cloud.control('user', { name: 'late', policy: { Statement: [] } });
      await cloud.mishaps({ expired: [user.access_key_id] });
      assert.match(await failure(new Project(cloud, yaml('late'), user)), /expired/);
      await cloud.mishaps({});
    });

    test('a wrong secret key', async () => {
      const keys = { ...cloud.about, secret_access_key: 'wrong' };
      assert.match(await failure(new Project(cloud, yaml('wrong'), keys)), /secret|signature/i);
    });

    test('another account than aws.account says', async () => {
      const project = new Project(cloud, yaml('other', 'aws: {account: "999999999999"}\n'));
      assert.match(await failure(project), /999999999999[\s\S]*123456789012|123456789012[\s\S]*999999999999/);
    });

    test('a clock that is an hour wrong is put right', async () => {
      await cloud.mishaps({ clock: 3600 });
      const { code, out, err } = await new Project(cloud, yaml('clock')).berth('plan');
      await cloud.mishaps({});
      assert.equal(code, 0, err);
      assert.doesNotMatch(out + err, /Signature|expired/);
    });

    test('a missing permission is named, with the statement that gives it', async () => {
      const user = await cloud.control('user', { name: 'weak', policy: { Statement: [
        { Effect: 'Allow', Action: '*', Resource: '*' },
        { Effect: 'Deny', Action: 'cloudformation:CreateChangeSet', Resource: '*' },
        { Effect: 'Deny', Action: 'cloudformation:CreateStack', Resource: '*' }] } });
      const said = await failure(new Project(cloud, yaml('weak'), user));
      assert.match(said, /cloudformation:Create(ChangeSet|Stack)/);
      assert.match(said, /"Effect": ?"Allow"/);
    });
  });

  describe('one service that meets them all', () => {
    let project;
    before(() => { project = new Project(cloud, yaml('odds')); });

    test('a finding of the scan stops it before anything runs', async () => {
      await cloud.mishaps({ findings: { CRITICAL: 1 } });
      assert.match(await failure(project), /scan found[\s\S]*critical[\s\S]*--ignore-scan/i);
      await cloud.mishaps({});
    });

    for (const [logical, reason, said] of [
      ['LoadBalancer', 'The maximum number of load balancers has been reached', /quota/i],
      ['TaskRole', 'User: x is not authorized to perform: iam:CreateRole on resource: y', /iam:CreateRole/],
      ['FileSystem', 'Internal failure', /FileSystem[\s\S]*Internal failure/],
    ]) {
      test(`${logical} fails: rolled back and explained`, async () => {
        await cloud.mishaps({ fail: { [logical]: reason } });
        const text = await failure(project);
        await cloud.mishaps({});
        assert.match(text, said);
        assert.deepEqual(await cloud.running('odds'), []);
      });
    }

    const every = process.env.BERTH_AWS_FAULTS === 'all' ? false : 'takes minutes: BERTH_AWS_FAULTS=all';
    test('whichever resource fails: rolled back and explained', { skip: every }, async () => {
      const { out } = await project.must('template', '--part', 'service', '--json');
      const { Resources } = JSON.parse(out);
      // What is made under a condition alone may not be in the stack.
      const certain = Object.keys(Resources).filter((logical) => !Resources[logical].Condition);
      for (const logical of certain) {
        await cloud.mishaps({ fail: { [logical]: 'as ordered' } });
        const text = await failure(project);
        assert.match(text, new RegExp(`${logical} [^]*as ordered`), logical);
        assert.deepEqual(await cloud.running('odds'), [], logical);
      }
      await cloud.mishaps({});
    });

    test('interrupted in every phase, it goes on where it stopped', async () => {
      await cloud.mishaps({ delay: 4 });
      for (const [phase, signal] of [
        ['Registry and secrets', 'SIGKILL'], ['Image', 'SIGINT'], ['Push', 'SIGKILL'], ['Scan', 'SIGINT'],
        ['Stack', 'SIGINT'], ['Stack', 'SIGKILL'],
      ]) {
        const run = project.start('deploy', '--yes');
        const there = () => run.text.includes(phase) || run.exitCode !== null;
        await until(`the phase ${phase}`, there);
        run.kill(signal);
        const { code } = await run.ended;
        if (signal === 'SIGINT' && code !== 0) assert.match(run.text, /by itself|again/);
      }
      await cloud.mishaps({});
      await project.must('deploy', '--yes');
      assert.equal((await cloud.running('odds')).length, 3);
    });

    test('throttling and a network that drops are waited out', async () => {
      project.write(yaml('odds', 'limits: {sessions_max: 9000}\n'));
      await cloud.mishaps({
        throttle: { 'cloudformation:DescribeStacks': 2, 'ecs:DescribeServices': 2, 'ecr:DescribeImages': 1 },
        drop: { 'cloudformation:DescribeStackEvents': 2, 'sts:GetCallerIdentity': 1 },
        cut: { 'cloudformation:UpdateStack': 1, 'cloudformation:ExecuteChangeSet': 1 },
      });
      await project.must('deploy', '--yes');
      await cloud.mishaps({});
    });

    test('tasks that never become healthy: the former ones stay, and it says why', async () => {
      const before = (await cloud.running('odds')).map((task) => task.id).sort();
      project.write(yaml('odds', 'limits: {sessions_max: 9001}\n'));
      await cloud.mishaps({ fail_start: 'OutOfMemoryError: Container killed due to memory usage' });
      assert.match(await failure(project), /memory/i);
      await cloud.mishaps({});
      assert.deepEqual((await cloud.running('odds')).map((task) => task.id).sort(), before);
    });

    test('of two deploys at once one goes through and the other is told', async () => {
      const other = new Project(cloud, yaml('odds', 'limits: {sessions_max: 9003}\n'));
      project.write(yaml('odds', 'limits: {sessions_max: 9002}\n'));
      await cloud.mishaps({ delay: 2 });
      const runs = [project, other].map((one) => one.start('deploy', '--yes'));
      const ends = await Promise.all(runs.map((run) => run.ended));
      await cloud.mishaps({});
      const texts = runs.map((run) => run.text).join('\n----\n');
      assert.ok(ends.some(({ code }) => code === 0), texts);
      const lost = ends.findIndex(({ code }) => code !== 0);
      if (lost >= 0) assert.match(runs[lost].text, /another|other deploy|in progress/i);
      await project.must('deploy', '--yes');
      assert.equal((await cloud.running('odds')).length, 3);
    });
  });

  test('a name that is taken is said to be', async () => {
    const project = new Project(cloud, yaml('odds-2'));
    await project.must('deploy', '--yes');
    const thief = new Project(cloud, yaml('odds-2'));
    thief.environment.AWS_REGION = 'us-east-1';
    await cloud.mishaps({ fail: { Cluster: 'odds-3 already exists' } });
    thief.write(yaml('odds-3'));
    assert.match(await failure(thief), /name is taken/i);
    await cloud.mishaps({});
    await project.must('destroy', '--yes', '--delete-data');
  });
});
