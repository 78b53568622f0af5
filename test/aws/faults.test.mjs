// What goes wrong on the way to AWS, ordered from the emulator: each has its message and its way out, and the
// same command again gets there.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { execute, root, until } from '../support/berth.mjs';
import { Cloud, Project } from '../support/cloud.mjs';

const yaml = (name, more = '') => `name: ${name}\nserver: {builtin: workspace}\n${more}`;

describe('deploying against the odds', () => {
  let cloud, service;
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
    before(() => { project = service = new Project(cloud, yaml('odds')); });

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

    test('tasks that cannot be placed: said at once, and gone on with when there is capacity', async () => {
      project.write(yaml('odds', 'aws: {spot: {base: 0}}\nlimits: {sessions_max: 9004}\n'));
      await cloud.mishaps({ spot: true });
      const run = project.start('deploy', '--yes');
      await until('a word about capacity', () => /aws\.spot\.weight/.test(run.text) || run.exitCode !== null);
      assert.match(run.text, /no capacity[^]*berth rollback/);
      await cloud.mishaps({});
      assert.equal((await run.ended).code, 0, run.text);
      project.write(yaml('odds'));
      await project.must('deploy', '--yes');
    });

    test('an image that cannot be pulled: the former tasks stay, and it says why', async () => {
      project.write(yaml('odds', 'limits: {sessions_max: 9005}\n'));
      await cloud.mishaps({ fail_start: 'CannotPullContainerError: pull image manifest has been retried 5 ' +
        'time(s): failed to resolve ref: not found' });
      assert.match(await failure(project), /not in the registry[^]*berth deploy[^]*runs on/);
      await cloud.mishaps({});
    });

    test('a server that ends at once: its last lines are shown, and what ran runs on', async () => {
      const before = (await cloud.running('odds')).map((task) => task.id).sort();
      project.write('name: odds\nserver: {command: [/usr/local/bin/berth, frobnicate]}\n' +
        'image: {base: scratch}\nlimits: {sessions_max: 9006}\n');
      await cloud.mishaps({ hasty: 20 });
      assert.match(await failure(project), /health check[^]*frobnicate[^]*runs on/);
      assert.deepEqual((await cloud.running('odds')).map((task) => task.id).sort(), before);
      await cloud.mishaps({});
      project.write(yaml('odds'));
    });

    test('an image that does not start berth is refused before anything runs', async () => {
      const { repository } = await cloud.call('ecr', 'create_repository', { repositoryName: 'foreign' });
      await pushForeign(repository.repositoryUri);
      const said = await failure(project, '--image', `${repository.repositoryUri}:1`);
      assert.match(said, /ENTRYPOINT|entry point/i);
      await cloud.call('ecr', 'delete_repository', { repositoryName: 'foreign', force: true });
      assert.equal((await cloud.running('odds')).length, 3);
    });

    describe('changed by hand', () => {
      let group, bucket;
      before(async () => {
        const { StackResources: made } =
          await cloud.call('cloudformation', 'describe_stack_resources', { StackName: 'odds' });
        const physical = (logical) =>
          made.find((one) => one.LogicalResourceId === logical).PhysicalResourceId;
        [group, bucket] = [physical('TaskSecurityGroup'), physical('ArtifactsBucket')];
        await cloud.call('ec2', 'authorize_security_group_ingress', { GroupId: group, IpPermissions: [
          { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }] });
        await cloud.call('s3', 'put_bucket_versioning', {
          Bucket: bucket, VersioningConfiguration: { Status: 'Suspended' } });
        await cloud.call('ecs', 'update_service', { cluster: 'odds', service: 'odds', desiredCount: 4 });
      });

      const drift = async () => (await project.json('plan')).deployed.drift;

      test('plan names resource, property, both values and what a deploy does about it', async () => {
        const found = await drift();
        assert.deepEqual(found.map((one) => one.resource).sort(), ['ArtifactsBucket', 'TaskSecurityGroup']);
        const [versions] = found.find((one) => one.resource === 'ArtifactsBucket').differences;
        assert.equal(versions.property, '/VersioningConfiguration');
        assert.deepEqual([versions.expected, versions.actual].map((text) => JSON.parse(text).Status),
          ['Enabled', 'Suspended']);
        const { out } = await project.must('plan');
        assert.match(out, /Changed by hand[^]*TaskSecurityGroup[^]*SecurityGroupIngress: [^]*→[^]*22/);
        assert.match(out, /leaves it as it is[^]*--revert-drift/);
        assert.equal((await project.json('plan', '--no-drift')).deployed.drift.length, 0);
      });

      test('doctor names it too', async () => {
        const { code, out } = await project.berth('doctor', '--on', 'aws');
        assert.equal(code, 6);
        assert.match(out, /✗ drift +2 resources[^]*VersioningConfiguration[^]*--revert-drift/);
      });

      test('a deploy leaves it, one with --revert-drift puts it back', async () => {
        await project.must('deploy', '--yes');
        assert.equal((await drift()).length, 2);
        const { out, err } = await project.must('deploy', '--yes', '--revert-drift');
        assert.match(out + err, /Sets TaskSecurityGroup/);
        assert.deepEqual(await drift(), []);
        const { Status } = await cloud.call('s3', 'get_bucket_versioning', { Bucket: bucket });
        assert.equal(Status, 'Enabled');
        assert.ok((await cloud.running('odds')).length >= 3);
      });

      test('a service that was deleted is missed, and made anew', async () => {
        await cloud.call('ecs', 'delete_service', { cluster: 'odds', service: 'odds', force: true });
        assert.match(await failure(project), /--revert-drift/);
        const [{ resource, status, deploy }] = await drift();
        assert.deepEqual([resource, status], ['Service', 'DELETED']);
        assert.match(deploy, /--revert-drift/);
        // ECS makes none of the same name while the deleted one drains.
        await until('the service to have drained', async () => {
          const { services: [left] } =
            await cloud.call('ecs', 'describe_services', { cluster: 'odds', services: ['odds'] });
          return !left || left.status === 'INACTIVE';
        });
        await project.must('deploy', '--yes', '--revert-drift');
        assert.equal((await cloud.running('odds')).length, 3);
      });
    });

    test('a rollback that failed is finished by rollback, and by a deploy', async () => {
      const leave = () => cloud.control('stack', { name: 'odds', status: 'UPDATE_ROLLBACK_FAILED' });
      await leave();
      assert.match((await project.must('plan', '--no-drift')).out, /finishes the rollback first/);
      await project.must('rollback', '--yes');
      await leave();
      const { out, err } = await project.must('deploy', '--yes');
      assert.match(out + err, /Finishing the rollback/);
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

  /// An image that starts something else than berth.
  async function pushForeign(uri) {
    const { authorizationData: [{ authorizationToken: token }] } =
      await cloud.call('ecr', 'get_authorization_token');
    const [registry, name] = uri.split('/');
    const code = 'import sys; sys.path.insert(0, sys.argv[1]); import pushing; ' +
      'pushing.push(*sys.argv[2:5], "1", {"bin/other": (0o755, b"x")}, {"Entrypoint": ["/bin/other"]})';
    const folder = join(root, 'test/aws/emulator');
    const done = await execute('python3', ['-c', code, folder, registry, token, name]);
    assert.equal(done.code, 0, done.err);
  }

  describe('a first deploy that fails', () => {
    let project;
    const left = async () => {
      const all = await cloud.control('left');
      return { buckets: all.buckets.filter((name) => name.startsWith('lost')) };
    };

    before(() => { project = new Project(cloud, yaml('lost')); });

    test('ends with why, and with no log to ask', async () => {
      await cloud.mishaps({ unhealthy: true, hasty: 20 });
      const said = await failure(project);
      await cloud.mishaps({});
      assert.match(said, /unhealthy[^]*ELB health checks[^]*\|[^]*its log with it/);
    });

    test('leaves nothing behind that the next one does not clear away', async () => {
      await cloud.mishaps({ fail: { Service: 'as ordered' } });
      await failure(project);
      await cloud.mishaps({});
      const { buckets } = await left();
      assert.equal(buckets.length, 2, `${buckets}`);
    });

    test('is taken from whatever state somebody left it in', async () => {
      for (const status of ['CREATE_FAILED', 'ROLLBACK_FAILED', 'DELETE_FAILED', 'ROLLBACK_COMPLETE']) {
        await cloud.control('stack', { name: 'lost', status });
        assert.match((await project.must('plan')).out, new RegExp(`${status}: a deploy asks, deletes it`));
        const { out } = await project.berth('status', '--on', 'aws');
        assert.match(out, new RegExp(status.toLowerCase()));
        const { out: doctor } = await project.berth('doctor', '--on', 'aws');
        assert.match(doctor, /✗ stack[^]*berth deploy/);
      }
    });

    test('is gone with its data after destroy', async () => {
      await project.must('destroy', '--yes', '--delete-data');
      assert.deepEqual((await left()).buckets, []);
    });
  });

  test('a name that is taken is said to be', async () => {
    const project = new Project(cloud, yaml('odds-3'));
    await cloud.mishaps({ fail: { Cluster: 'odds-3 already exists' } });
    assert.match(await failure(project), /name is taken/i);
    await cloud.mishaps({});
    await project.must('destroy', '--yes', '--delete-data');
  });

  test('when every service is destroyed, nothing is left in the account that costs money', async () => {
    await service.must('destroy', '--yes', '--delete-data');
    const { log_groups: groups, ...rest } = await cloud.control('left');
    for (const [kind, names] of Object.entries({ ...rest, ...await cloud.control('costs') }))
      assert.deepEqual(names, [], kind);
  });

  test('a subnet without a way out: which one is said, and mended it comes up', async () => {
    const vpc = await cloud.control('furnish', { vpc: '10.7.0.0/16' });
    const { RouteTables: [table] } = await cloud.call('ec2', 'describe_route_tables', {
      Filters: [{ Name: 'association.subnet-id', Values: [vpc.private_subnets[0]] }] });
    const { NatGatewayId } = table.Routes.find((route) => route.NatGatewayId);
    const route = { RouteTableId: table.RouteTableId, DestinationCidrBlock: '0.0.0.0/0' };
    await cloud.call('ec2', 'delete_route', route);
    const project = new Project(cloud, yaml('stranded', `aws: {network: {vpc: ${vpc.vpc}, ` +
      `public_subnets: [${vpc.public_subnets}], private_subnets: [${vpc.private_subnets}]}}\n`));
    // Long enough that the tasks are looked at before the rollback has taken the cluster away.
    await cloud.mishaps({ delay: 4 });
    assert.match(await failure(project), /no route[^]*subnet-[^]*NAT/);
    await cloud.mishaps({});
    await cloud.call('ec2', 'create_route', { ...route, NatGatewayId });
    await project.must('deploy', '--yes');
    await project.must('destroy', '--yes', '--delete-data');
  });

  test('a certificate that nobody validates: said, and once it is there it comes up', async () => {
    const { id } = await cloud.control('furnish', { zone: 'example.org' });
    const domain = `aws: {domain: mcp.example.org, hosted_zone: ${id}}\n`;
    const project = new Project(cloud, yaml('certified', domain));
    await cloud.mishaps({ unvalidated: true });
    assert.match(await failure(project), /certificate is not validated[^]*hosted_zone[^]*dig NS/);
    await cloud.mishaps({});
    await project.must('deploy', '--yes');
    await project.must('destroy', '--yes', '--delete-data');
  });

  test('secrets that are not there are named before anything is made, and taken once they are', async () => {
    const arn = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:absent';
    const project = new Project(cloud, 'name: secretive\n' +
      'server: {command: [/usr/local/bin/berth, mcp], env: {TOKEN: "${TOKEN}"}}\n' +
      `image: {base: scratch}\naws: {secrets: {TOKEN: "${arn}"}}\n`);
    assert.match(await failure(project), /TOKEN[^]*absent[^]*create-secret/);
    assert.ok(!(await cloud.control('left')).stacks.includes('secretive-base'));
  });

  describe('the other verbs', () => {
    const asking = [['status'], ['logs'], ['traces'], ['doctor'], ['connect'], ['scale', '2', '--yes'],
      ['rollback', '--yes']].map((words) => (words[0] === 'rollback' ? words : [...words, '--on', 'aws']));

    for (const words of asking) {
      test(`${words[0]} without credentials, with old ones, and of what was never deployed`, async () => {
        const never = new Project(cloud, yaml('never'));
        const said = async () => {
          const { code, out, err } = await never.berth(...words);
          assert.notEqual(code, 0, out);
          return out + err;
        };
        assert.match(await said(), /no stack never in us-east-1[^]*berth deploy/i);
        const user = await cloud.control('user', { name: 'old', policy: { Statement: [] } });
        never.environment.AWS_ACCESS_KEY_ID = user.access_key_id;
        never.environment.AWS_SECRET_ACCESS_KEY = user.secret_access_key;
        assert.match(await said(), /is missing[^]*"Effect": "Allow"/);
        await cloud.mishaps({ expired: [user.access_key_id] });
        assert.match(await said(), /expired[^]*aws sso login/);
        await cloud.mishaps({});
        delete never.environment.AWS_ACCESS_KEY_ID;
        delete never.environment.AWS_SECRET_ACCESS_KEY;
        assert.match(await said(), /no AWS credentials[^]*aws configure/);
      });
    }
  });

  describe('a service until it is gone', () => {
    let project;
    let others;     // file systems of the account
    before(async () => {
      project = new Project(cloud, yaml('single'));
      others = (await cloud.control('left')).file_systems;
      await project.must('deploy', '--yes');
    });

    /// What is left of it: its data, and what else costs money in the account.
    async function left() {
      const { buckets, file_systems: systems, stacks } = await cloud.control('left');
      const own = (names) => names.filter((name) => name.startsWith('single'));
      return { buckets: own(buckets).length, stacks: own(stacks),
        systems: systems.filter((id) => !others.includes(id)).length };
    }

    test('has nothing to go back to, and no place for two thousand tasks', async () => {
      const back = await project.berth('rollback', '--yes');
      assert.equal(back.code, 1);
      assert.match(back.err, /no earlier image to go back to/);
      const far = await project.berth('scale', '2000', '--on', 'aws', '--yes');
      assert.equal(far.code, 2);
      assert.match(far.err, /from 0 to 1000/);
    });

    test('its destruction goes on where it was interrupted, and keeps the data as it was told', async () => {
      await cloud.mishaps({ delay: 4 });
      const run = project.start('destroy', '--yes', '--keep-data');
      await until('a deletion', () => run.text.includes('Deleting the stack') || run.exitCode !== null);
      run.kill('SIGINT');
      assert.notEqual((await run.ended).code, 0);
      assert.match(run.text, /goes on by itself[^]*berth destroy/);
      await cloud.mishaps({});
      const { out } = await project.must('destroy', '--yes', '--keep-data');
      assert.match(out, /This data was kept:[^]*file system fs-[^]*month[^]*bucket single-[^]*each GB/);
      assert.deepEqual(await left(), { buckets: 2, stacks: [], systems: 1 });
    });

    test('deployed again and its stacks deleted by hand, all its data is found, the old too', async () => {
      await project.must('deploy', '--yes');
      for (const name of ['single', 'single-base']) {
        await cloud.call('cloudformation', 'delete_stack', { StackName: name });
        await until(`no stack ${name}`, async () => !(await cloud.control('left')).stacks.includes(name));
      }
      const status = await project.berth('status', '--on', 'aws');
      assert.match(status.err, /no stack single/);
      assert.equal((await left()).buckets, 4);
      await project.must('destroy', '--yes', '--delete-data');
      assert.deepEqual(await left(), { buckets: 0, stacks: [], systems: 0 });
    });
  });
});
