// What a cold build of the release program costs: processor time of the compiler, by folder, without a cache.

import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/berth.mjs';
import { number, table } from '../lib/report.mjs';

/// "src/task/host/CMakeFiles/…" → "src/task"
const folderOf = (object) => object.split('/CMakeFiles/')[0].split('/').slice(0, 2).join('/');

export function measure({ say }) {
  const folder = join(root, 'build/cold');
  const times = join(folder, 'compile-times');
  rmSync(folder, { recursive: true, force: true });
  const run = (command, ...args) => execFileSync(command, args, {
    cwd: root, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, BERTH_COMPILE_TIMES: times },
  });
  run('cmake', '--preset', 'release', '-B', folder, `-DCMAKE_CXX_COMPILER=${process.env.CXX ?? 'clang++-19'}`,
    `-DCCACHE=${join(root, 'bench/lib/timed_compile.sh')}`);
  writeFileSync(times, '');
  say('compiling everything anew in build/cold');
  const began = performance.now();
  run('ninja', '-C', folder, 'berth');
  const wall = (performance.now() - began) / 1000;

  const byFolder = new Map();
  for (const line of readFileSync(times, 'utf8').trim().split('\n')) {
    const [user, system, object] = line.split(' ');
    const name = folderOf(object);
    const { units, seconds } = byFolder.get(name) ?? { units: 0, seconds: 0 };
    byFolder.set(name, { units: units + 1, seconds: seconds + Number(user) + Number(system) });
  }
  const sums = [...byFolder].sort(([, a], [, b]) => b.seconds - a.seconds);
  const total = sums.reduce((sum, [, { seconds }]) => sum + seconds, 0);
  const units = sums.reduce((sum, [, one]) => sum + one.units, 0);
  const rows = sums.map(([name, sum]) => [`\`${name}\``, sum.units, number(sum.seconds, 1)]);
  rows.push(['together', units, number(total, 1)]);
  return `${table(['folder', 'compiled units', 'CPU s'], rows)}\n\n${number(total / 60, 1)} CPU minutes, ` +
    `${number(wall / 60, 1)} minutes on ${os.cpus().length} processors.`;
}
