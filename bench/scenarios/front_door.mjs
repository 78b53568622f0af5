// The front door alone against haproxy: 347 bytes in, 188 bytes out, the same cheap backend behind both;
// with TLS too.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { program, root } from '../../test/support/berth.mjs';
import { compare } from '../lib/load.mjs';
import { freePort, listening, start, stop } from '../lib/processes.mjs';
import { number, table } from '../lib/report.mjs';

const folder = join(root, 'build/bench/door');
const programs = join(dirname(program), '../network');

function makeCertificate() {
  mkdirSync(folder, { recursive: true });
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
    '/CN=localhost', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'certificate.pem'),
  ], { stdio: 'ignore' });
  const pem = ['certificate.pem', 'key.pem'].map((name) => readFileSync(join(folder, name), 'utf8')).join('');
  writeFileSync(join(folder, 'both.pem'), pem, { mode: 0o600 });
}

async function startHaproxy(backend) {
  const [plain, secure] = [await freePort(), await freePort()];
  const configuration = join(folder, 'haproxy.cfg');
  writeFileSync(configuration, `
global
  nbthread 2
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  option http-keep-alive
  http-reuse aggressive
frontend f
  bind 127.0.0.1:${plain}
  bind 127.0.0.1:${secure} ssl crt ${join(folder, 'both.pem')} alpn http/1.1
  option forwardfor
  default_backend b
backend b
  server s 127.0.0.1:${backend} pool-max-conn 512
`);
  const child = start('/usr/sbin/haproxy', ['-db', '-f', configuration]);
  await listening(plain);
  return { name: 'haproxy', child, plain, secure };
}

async function startDoor(backend) {
  const [plain, secure] = [await freePort(), await freePort()];
  const child = start(join(programs, 'front_door_bench'), [
    String(plain), '2', `127.0.0.1:${backend}`, String(secure), join(folder, 'certificate.pem'),
    join(folder, 'key.pem'),
  ]);
  await listening(plain);
  return { name: 'Berth', child, plain, secure };
}

export async function measure({ seconds, rounds, say }) {
  makeCertificate();
  const port = await freePort();
  const backend = start(join(programs, 'bench_backend'), [String(port), '1']);
  await listening(port);
  const doors = [await startDoor(port), await startHaproxy(port)];
  try {
    const targets = doors.flatMap(({ name, child, plain, secure }) => [
      { name, url: `http://127.0.0.1:${plain}/mcp`, pids: () => [child.pid] },
      { name: `${name}, TLS`, url: `https://127.0.0.1:${secure}/mcp`, pids: () => [child.pid] },
    ]);
    targets.push({ name: 'no proxy', url: `http://127.0.0.1:${port}/mcp`, pids: () => [backend.pid] });
    const rows = await compare(targets, {
      script: 'post.lua', connections: [1, 16, 64, 256], seconds, rounds, say,
    });
    return table(['', 'connections', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs/request', 'wrong'], rows.map(
      ({ name, connections, perSecond, p50, p99, cpu, bad }) => [
        name, connections, number(perSecond), number(p50, 2), number(p99, 1), number(cpu, 1), bad,
      ]));
  } finally {
    await Promise.all([stop(backend), ...doors.map(({ child }) => stop(child))]);
  }
}
