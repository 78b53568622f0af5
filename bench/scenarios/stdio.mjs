// tools/call echo of server-everything over stdio, one task, against the bridges that npm offers and
// against the server's own HTTP transport. Those know sessions only: as many as there are connections.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, descendants, npmServer, root, Service, yamlList } from '../../test/support/berth.mjs';
import { compare } from '../lib/load.mjs';
import { freePort, listening, start, stop } from '../lib/processes.mjs';
import { number, table } from '../lib/report.mjs';
import { openSessions } from '../lib/sessions.mjs';

export const rivalPrograms = join(root, 'build/npm-bench/node_modules');
const isHosted = (pid) => commandLine(pid).some((word) => word.includes('server-everything'));
const tree = (pid) => [pid, ...descendants(pid)];

/// Sessions are opened once for a number of connections and kept in a file for wrk.
function sessionsOf(name, url) {
  const files = new Map();
  return async (connections) => {
    if (!files.has(connections)) {
      mkdirSync(join(root, 'build/bench'), { recursive: true });
      const file = join(root, 'build/bench', `${name.replace(/\W+/g, '-')}-${connections}`);
      writeFileSync(file, `${(await openSessions(url, connections)).join('\n')}\n`);
      files.set(connections, file);
    }
    return { BENCH_ERA: 'legacy', BENCH_SESSIONS: files.get(connections) };
  };
}

const entry = (name, file) => join(rivalPrograms, name, file);

/// Name and command line of a rival that serves server-everything on `port`; `own` is the server itself.
const rivals = {
  own: (port, [, server]) => ["the server's own HTTP", [server, 'streamableHttp']],
  supergateway: (port, [node, server]) => ['supergateway --stateful', [
    entry('supergateway', 'dist/index.js'), '--stdio', `${node} ${server}`, '--outputTransport',
    'streamableHttp', '--stateful', '--port', String(port), '--logLevel', 'none',
  ]],
  'mcp-proxy': (port, command) => ['mcp-proxy', [
    entry('mcp-proxy', 'dist/bin/mcp-proxy.mjs'), '--host', '127.0.0.1', '--port', String(port), '--',
    ...command,
  ]],
};

export async function startRival(which, port, wait = true) {
  const [name, args] = rivals[which](port, npmServer('everything'));
  const child = start(process.execPath, args, { env: { PATH: process.env.PATH, PORT: String(port) } });
  if (wait) await listening(port);
  const url = `http://127.0.0.1:${port}/mcp`;
  const hosted = () => descendants(child.pid).filter(isHosted);
  return {
    name, url, child, env: sessionsOf(name, url),
    pids: () => tree(child.pid).filter((pid) => pid === child.pid || !isHosted(pid)), others: hosted,
  };
}

export async function startRivals() {
  const started = [];
  for (const which of Object.keys(rivals)) started.push(await startRival(which, await freePort()));
  return started;
}

/// A service of one task whose limits do not bind.
export const oneTask = (server) => Service.start(undefined,
  `name: bench\nserver:\n  ${server}\ntasks: {count: 1, cpu: 4, memory: 8GB}\n`, { name: 'bench' });

export async function berthTargets(service) {
  const { tasks } = await service.status();
  const direct = `http://${tasks[0].address}/mcp`;
  const door = await service.url('http');
  const own = () => tree(service.process.pid).filter((pid) => !isHosted(pid));
  const others = () => tree(service.process.pid).filter(isHosted);
  const modern = async () => ({ BENCH_ERA: 'modern' });
  return [
    { name: 'Berth, one task', url: direct, pids: own, others, env: modern },
    { name: 'Berth, front door and one task', url: door, pids: own, others, env: modern },
    { name: 'Berth, one task, sessions', url: direct, pids: own, others, env: sessionsOf('berth', direct) },
  ];
}

export const heads = [
  '', 'connections', 'calls/s', 'p50 ms', 'p99 ms', 'CPU µs/call', 'server µs/call', 'wrong',
];
export const row = ({ name, connections, perSecond, p50, p99, cpu, otherCpu, bad }) => [
  name, connections, number(perSecond), number(p50, 2), number(p99, 1), number(cpu, 1), number(otherCpu, 1),
  bad,
];

export async function measure({ seconds, rounds, say }) {
  const service = await oneTask(`command: ${yamlList(npmServer('everything'))}`);
  const others = await startRivals();
  try {
    const targets = [...await berthTargets(service), ...others];
    const amounts = { connections: [1, 16, 64], seconds, rounds };
    const rows = await compare(targets, { script: 'call.lua', ...amounts, say });
    return table(heads, rows.map(row));
  } finally {
    await Promise.all([service.kill(), ...others.map(({ child }) => stop(child))]);
  }
}
