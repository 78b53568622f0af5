// One wrk run: requests per second, latency, and what the server side spent.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execute } from '../../test/support/berth.mjs';
import { busyJiffies, cpuNanoseconds } from './processes.mjs';

const scripts = join(dirname(fileURLToPath(import.meta.url)), '../wrk');

/// `pids` are the processes whose processor time counts; `others` are measured apart (the hosted server's).
export async function load(url, { script, connections, seconds, pids, others = [], env = {} }) {
  const file = join(scripts, script);
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '20s', '-s', file, url];
  const before = { own: cpuNanoseconds(pids), other: cpuNanoseconds(others), busy: busyJiffies() };
  const began = performance.now();
  const { out, err } = await execute('wrk', args, {
    timeout: (seconds + 40) * 1000, env: { PATH: process.env.PATH, ...env },
  });
  const elapsed = (performance.now() - began) / 1000;
  const own = cpuNanoseconds(pids) - before.own;
  const other = cpuNanoseconds(others) - before.other;
  const result = /^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(out);
  if (!result) throw new Error(`wrk said: ${out}${err}`);
  const [right, wrong, lost, duration, p50, p99] = result.slice(1).map(Number);
  return {
    perSecond: right / (duration / 1e6), p50: p50 / 1000, p99: p99 / 1000, right, wrong, lost,
    cpu: right > 0 ? own / 1000 / right : NaN, otherCpu: right > 0 ? other / 1000 / right : NaN,
    cores: (busyJiffies() - before.busy) / 100 / elapsed,
    size: Number(/^SIZE ([\d.]+)/m.exec(out)?.[1] ?? 0), sample: /^SAMPLE (.*)$/m.exec(out)?.[1] ?? '',
  };
}

export function median(values) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.floor(sorted.length / 2)];
}

/// Every target at every number of connections, round after round, so that a slow minute hurts all alike.
/// `targets`: [{name, url, pids(), others(), env(connections)}]. Rows with medians.
export async function compare(targets, { script, connections, seconds, rounds, say }) {
  const runs = new Map();
  for (const count of connections) {
    for (let round = 0; round < rounds; ++round) {
      for (const target of targets) {
        const run = await load(target.url, {
          script, connections: count, seconds, pids: target.pids(), others: target.others?.() ?? [],
          env: await target.env?.(count),
        });
        const key = JSON.stringify([target.name, count]);
        runs.set(key, [...(runs.get(key) ?? []), run]);
        const note = run.wrong + run.lost > 0 ? ` WRONG ${run.wrong} LOST ${run.lost} ${run.sample}` : '';
        say(`${target.name}, ${count}: ${Math.round(run.perSecond)}/s, p50 ${run.p50} ms, ` +
          `${run.cpu.toFixed(1)} µs${note}`);
      }
    }
  }
  return [...runs].map(([key, all]) => {
    const [name, count] = JSON.parse(key);
    const of = (field) => median(all.map((run) => run[field]));
    return {
      name, connections: count, perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), cpu: of('cpu'),
      otherCpu: of('otherCpu'), cores: of('cores'), size: of('size'),
      bad: all.reduce((sum, run) => sum + run.wrong + run.lost, 0),
    };
  });
}
