// The emulated AWS for tests of the real program: one Cloud is one emulator, one Project a folder with a
// berth.yaml and the environment of somebody who deploys it.

import { spawn } from 'node:child_process';
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execute, program, root } from './berth.mjs';

const everything = build('build/aws');
const emulator = join(root, 'test/aws/emulator/emulator.py');

function build(folder) {
  const path = join(root, folder);
  mkdirSync(path, { recursive: true });
  return path;
}

/// A native server, from the build that is tested or the release build; undefined when neither has it.
export function example(name, folder = 'examples') {
  const builds = [join(program, '../../..'), join(root, 'build/release')];
  return builds.map((build) => join(build, folder, name)).find((path) => existsSync(path));
}

export class Cloud {
  /// `speed`: how much faster AWS's own clocks run, `watchSpeed` that of metrics, alarms and scaling. Ends,
  /// with all its tasks, when its standard input closes.
  static async start({ speed = 10, watchSpeed = 60, region = 'us-east-1' } = {}) {
    const cloud = new Cloud();
    cloud.folder = mkdtempSync(join(everything, 'cloud-'));
    const args = [emulator, '--state', join(cloud.folder, 'state'), '--layers', build('build/aws/layers'),
      '--speed', String(speed), '--watch-speed', String(watchSpeed), '--region', region,
      '--with-parent'];
    cloud.process = spawn('python3', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    cloud.errors = '';
    cloud.process.stderr.on('data', (data) => { cloud.errors += data; });
    cloud.ended = new Promise((done) => cloud.process.on('close', done));
    const lines = createInterface({ input: cloud.process.stdout });
    const first = await Promise.race([new Promise((done) => lines.once('line', done)), cloud.ended]);
    if (typeof first !== 'string') throw new Error(`the emulator does not start: ${cloud.errors}`);
    cloud.about = JSON.parse(first);
    cloud.authority = readFileSync(cloud.about.ca, 'utf8');
    return cloud;
  }

  async stop() {
    this.process.stdin.end();
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /// The emulator's control endpoint (emulator/control.py).
  async control(word, body) {
    const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const answer = await fetch(`${this.about.endpoint}/_emulator/${word}`, options);
    const value = await answer.json();
    if (!answer.ok) throw new Error(`${word}: ${JSON.stringify(value)}`);
    return value;
  }

  /// Any call of AWS's API, as somebody with a console makes it: `call('ec2', 'describe_vpcs', {…})`.
  async call(service, operation, input = {}) {
    const { endpoint, region, access_key_id: id, secret_access_key: secret } = this.about;
    const code = 'import boto3, json, sys; s, o, i, u, r, k, x = json.load(sys.stdin); print(json.dumps(' +
      'getattr(boto3.client(s, endpoint_url=u, region_name=r, aws_access_key_id=k, ' +
      'aws_secret_access_key=x), o)(**i), default=str))';
    const { code: status, out, err } = await execute('python3', ['-c', code], {
      input: JSON.stringify([service, operation, input, endpoint, region, id, secret]) });
    if (status !== 0) throw new Error(`${service} ${operation}: ${err}`);
    return JSON.parse(out);
  }

  /// What test/aws/account.py does and prints, as the administrator.
  async account(verb) {
    const { environment: env } = new Project(this, '');
    const { code, out, err } = await execute('python3', [join(root, 'test/aws/account.py'), verb], { env });
    if (code !== 0) throw new Error(`account.py ${verb}: ${err}`);
    return JSON.parse(out);
  }

  mishaps(orders) {
    return this.control('mishaps', orders);
  }

  async running(service) {
    const { tasks } = await this.control('state');
    return tasks.filter((task) => task.group === `service:${service}` && task.status === 'RUNNING');
  }

  /// What was called that changes something, since `forget`.
  async changes() {
    const calls = await this.control('calls');
    return calls.map(([action]) => action)
      .filter((action) => !/:(Describe|List|Get|Batch|Detect|Validate|Filter|Lookup)/.test(action));
  }

  async forget() {
    await fetch(`${this.about.endpoint}/_emulator/calls`, { method: 'DELETE' });
  }
}

export class Project {
  /// `keys`: {access_key_id, secret_access_key}, by default the administrator's.
  constructor(cloud, yaml, keys = cloud.about) {
    this.cloud = cloud;
    this.folder = mkdtempSync(join(cloud.folder, 'project-'));
    this.write(yaml);
    this.environment = {
      PATH: process.env.PATH, HOME: this.folder, LANG: 'C.UTF-8', NO_COLOR: '1', TMPDIR: '/tmp',
      XDG_CACHE_HOME: join(everything, 'cache'), SSL_CERT_FILE: cloud.about.ca,
      AWS_ENDPOINT_URL: cloud.about.endpoint, AWS_REGION: cloud.about.region,
      AWS_ACCESS_KEY_ID: keys.access_key_id, AWS_SECRET_ACCESS_KEY: keys.secret_access_key,
      AWS_EC2_METADATA_DISABLED: 'true',
    };
  }

  write(yaml) {
    writeFileSync(join(this.folder, 'berth.yaml'), yaml);
  }

  berth(...args) {
    return this.run(args);
  }

  run(args, options = {}) {
    return execute(program, args, { cwd: this.folder, env: this.environment, timeout: 300_000, ...options });
  }

  /// A verb that has to succeed.
  async must(...args) {
    const done = await this.berth(...args);
    if (done.code !== 0) {
      const words = [`berth ${args.join(' ')}: exit ${done.code}`, done.out, done.err, this.cloud.errors];
      throw new Error(words.join('\n'));
    }
    return done;
  }

  async json(...args) {
    return JSON.parse((await this.must(...args, '--json')).out);
  }

  /// Starts a verb and gives the process, with its output so far in `text`.
  start(...args) {
    const stdio = ['ignore', 'pipe', 'pipe'];
    const child = spawn(program, args, { cwd: this.folder, env: this.environment, stdio });
    child.text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { child.text += data; });
    child.ended = new Promise((done) => child.on('close', (code, signal) => done({ code, signal })));
    return child;
  }

  /// What the one deploy from this folder left.
  record() {
    const folder = join(this.folder, '.berth/deployed');
    const [name] = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json')) : [];
    return name ? JSON.parse(readFileSync(join(folder, name), 'utf8')) : undefined;
  }

  /// The header that opens a service which Berth has closed by default; its name where there are several.
  async authorization(service = '') {
    const secrets = await this.cloud.control('secrets');
    const [, key] = Object.entries(secrets)
      .find(([name]) => name.startsWith(service) && /api-?key/i.test(name)) ?? [];
    if (!key) throw new Error(`no API key among ${Object.keys(secrets)}`);
    return { authorization: `Bearer ${key}` };
  }
}
