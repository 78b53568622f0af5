// Runs the real program for tests: one Service is one `berth up` in a folder of its own, with its own
// certificate authority, ended with everything it started when the test ends.

import { spawn } from 'node:child_process';
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(fileURLToPath(import.meta.url), '../../..');
export const program = process.env.BERTH ?? join(root, 'build/release/src/app/berth');
export const packages = join(root, 'build/npm/node_modules');

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/// Resumes when `promise` is settled, or after so long; leaves no timer behind that would keep Node alive.
export async function settledWithin(promise, milliseconds) {
  let timer;
  await Promise.race([promise, new Promise((done) => { timer = setTimeout(done, milliseconds); })]);
  clearTimeout(timer);
}

/// Calls `probe` until it gives something truthy. Fails at once on an error with `final`, else after the
/// time, and then says what was waited for.
export async function until(what, probe, milliseconds = 30_000) {
  const deadline = performance.now() + milliseconds;
  let last;
  while (performance.now() < deadline) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      if (error.final) throw error;
      last = error;
    }
    await pause(20);
  }
  throw new Error(`${what}: not within ${milliseconds} ms${last ? ` (${last.message})` : ''}`);
}

/// Runs a program to its end. {code, signal, out, err, milliseconds}.
export function execute(command, args, { timeout = 60_000, input = '', ...options } = {}) {
  return new Promise((done, failed) => {
    const began = performance.now();
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    const parts = { out: '', err: '' };
    child.stdout.on('data', (data) => { parts.out += data; });
    child.stderr.on('data', (data) => { parts.err += data; });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.on('error', failed);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      done({ code, signal, ...parts, milliseconds: performance.now() - began });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/// The command of an npm server of ours, for berth.yaml.
export function npmServer(name, ...args) {
  const folder = join(packages, '@modelcontextprotocol', `server-${name}`);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return [process.execPath, join(folder, Object.values(bin)[0]), ...args];
}

export const yamlList = (words) => `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;

/// Numbers of the processes below `parent`, from /proc.
export function descendants(parent) {
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const owner = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(owner, [...(children.get(owner) ?? []), Number(name)]);
    } catch {
      continue;  // It ended while we looked.
    }
  }
  const found = [];
  for (const queue = [parent]; queue.length > 0;) {
    for (const child of children.get(queue.pop()) ?? []) {
      found.push(child);
      queue.push(child);
    }
  }
  return found;
}

/// True while the process lives; a zombie does not.
export function alive(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0]);
  } catch {
    return false;
  }
}

export const commandLine = (pid) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
};

/// A folder under build/e2e, removed at the end of the test `t` unless it failed.
export function temporaryFolder(t, name) {
  mkdirSync(join(root, 'build/e2e'), { recursive: true });
  const folder = mkdtempSync(join(root, 'build/e2e', `${name}-`));
  t?.after(() => remove(t, folder));
  return folder;
}

function remove(t, folder) {
  if (t.passed !== false) rmSync(folder, { recursive: true, force: true });
}

export class Service {
  /// Starts `berth up` with the given berth.yaml text and waits until every task is healthy. `t` owns it:
  /// it is stopped after the test (or suite) `t`.
  static async start(t, yaml, { name = 'service', healthy = true, args = [], environment = {} } = {}) {
    const service = new Service(temporaryFolder(undefined, name));
    t?.after(async () => {
      await service.kill();
      remove(t, service.folder);
    });
    writeFileSync(join(service.folder, 'berth.yaml'), yaml);
    Object.assign(service.environment, environment);
    service.launch(args);
    if (healthy) await service.healthy();
    return service;
  }

  constructor(folder) {
    this.folder = folder;
    this.output = '';
    this.environment = {
      PATH: process.env.PATH, HOME: folder, LANG: 'C.UTF-8', TMPDIR: '/tmp',
      XDG_DATA_HOME: join(folder, 'share'), NO_COLOR: '1',
    };
  }

  launch(args = [], options = {}) {
    this.began = performance.now();
    this.process = spawn(program, ['up', ...args], {
      cwd: this.folder, env: this.environment, stdio: ['ignore', 'pipe', 'pipe'], ...options,
    });
    this.exited = new Promise((done) => {
      const finish = (ended) => {
        this.ended = ended;
        done(ended);
      };
      this.process.on('error', (error) => finish({ code: null, signal: null, error: error.message }));
      this.process.on('close', (code, signal) => finish({ code, signal }));
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on('data', (data) => { this.output += data; });
    }
  }

  /// Runs another verb in the service's folder.
  berth(...args) {
    return execute(program, args, { cwd: this.folder, env: this.environment });
  }

  async status() {
    const { code, out, err } = await this.berth('status', '--json');
    if (!out.trim()) throw new Error(`berth status --json: exit ${code}: ${err}`);
    return JSON.parse(out);
  }

  async healthy(count, milliseconds = 60_000) {
    return until('every task healthy', async () => {
      if (this.ended) {
        const error = new Error(`berth up ended: ${JSON.stringify(this.ended)}`);
        throw Object.assign(error, { final: true });
      }
      const status = await this.status();
      const good = status.tasks.filter((task) => task.health === 'healthy');
      return good.length === (count ?? status.desired) && good.length === status.tasks.length && status;
    }, milliseconds).catch((error) => { throw new Error(`${error.message}\n${this.output}`); });
  }

  /// The first URL of the scheme: /mcp of a single server.
  async url(scheme = 'http') {
    const { urls } = await this.status();
    return urls.find(({ url }) => url.startsWith(`${scheme}:`)).url;
  }

  /// PEM of the authority that signed the HTTPS listener's certificate.
  authorityFile() {
    const share = join(this.folder, 'share');
    const files = readdirSync(share, { recursive: true }).map((name) => join(share, name));
    return files.find((file) =>
      /ca[^/]*\.(pem|crt)$/.test(file) && /BEGIN CERT/.test(readFileSync(file, 'utf8')));
  }

  tree() {
    return descendants(this.process.pid);
  }

  async down() {
    const before = this.tree();
    const answer = await this.berth('down');
    await settledWithin(this.exited, 40_000);
    return { ...answer, ended: this.ended, left: before.filter(alive) };
  }

  /// Ends what still runs, first politely.
  async kill() {
    if (!this.ended) {
      this.process.kill('SIGTERM');
      await settledWithin(this.exited, 15_000);
    }
    if (!this.ended) {
      const tree = this.tree();
      this.process.kill('SIGKILL');
      for (const pid of tree) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          continue;
        }
      }
    }
    await this.exited;
  }
}

export const programExists = existsSync(program);
