// Starts what is measured, reads what it costs from /proc, and ends it.

import { spawn } from 'node:child_process';
import net from 'node:net';
import { readdirSync, readFileSync } from 'node:fs';
import { descendants, pause, until } from '../../test/support/berth.mjs';

const running = new Set();

/// A program in a process group of its own, ended by stop() or with the benchmark.
export function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
  child.output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => { child.output = (child.output + data).slice(-4000); });
  }
  child.on('error', (error) => { child.output += error.message; });
  running.add(child);
  child.ended = new Promise((done) => { child.on('close', done); });
  return child;
}

export async function stop(child) {
  if (!running.delete(child)) return;
  const tree = descendants(child.pid);
  signal(-child.pid, 'SIGTERM');
  await Promise.race([child.ended, pause(5000)]);
  signal(-child.pid, 'SIGKILL');
  for (const pid of tree) signal(pid, 'SIGKILL');
  await Promise.race([child.ended, pause(1000)]);
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

export const stopAll = () => Promise.all([...running].map(stop));

export async function freePort() {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

const connects = (port) => new Promise((done, failed) => {
  const socket = net.connect(port, '127.0.0.1', () => {
    socket.destroy();
    done(true);
  });
  socket.on('error', failed);
});

export const listening = (port) => until(`port ${port}`, () => connects(port));

/// Nanoseconds on a processor so far, of all threads of the processes.
export function cpuNanoseconds(pids) {
  let sum = 0;
  for (const pid of pids) {
    try {
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
      }
    } catch {
      continue;  // It ended.
    }
  }
  return sum;
}

/// Jiffies that all processors were busy so far.
export function busyJiffies() {
  const [user, nice, system, , , irq, softirq, steal] =
    readFileSync('/proc/stat', 'utf8').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
  return user + nice + system + irq + softirq + steal;
}

/// Resident and proportional memory in MiB, and how many processes, of a process and its descendants.
export function memory(pid, withDescendants = true) {
  const sum = { resident: 0, proportional: 0, processes: 0 };
  for (const each of withDescendants ? [pid, ...descendants(pid)] : [pid]) {
    try {
      const text = readFileSync(`/proc/${each}/smaps_rollup`, 'utf8');
      sum.resident += Number(/^Rss:\s+(\d+)/m.exec(text)[1]) / 1024;
      sum.proportional += Number(/^Pss:\s+(\d+)/m.exec(text)[1]) / 1024;
      sum.processes += 1;
    } catch {
      continue;
    }
  }
  return sum;
}
