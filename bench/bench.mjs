// Measures Berth side by side with what others use, and writes BENCHMARKS.md.
//   node bench.mjs [--quick] [--only stdio,native,front_door,memory,startup]
//   node bench.mjs --build      the build instead
// Loopback only; everything started is stopped, also after an error or Ctrl-C.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../test/support/berth.mjs';
import { stopAll } from './lib/processes.mjs';
import { machine, writeSection } from './lib/report.mjs';

const titles = {
  stdio: '`tools/call echo` of server-everything over stdio',
  native: 'An echo tool written in C++, against a fixed answer',
  front_door: 'The front door alone',
  memory: 'Memory',
  startup: 'From start to the first answer',
  build: 'A cold build of the release program',
};

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, only: { type: 'string' }, build: { type: 'boolean' } },
});
const amounts = values.quick ? { seconds: 1, rounds: 1 } : { seconds: 4, rounds: 3 };
const ofTheProgram = Object.keys(titles).filter((name) => name !== 'build');
const wanted = values.build ? ['build'] : values.only?.split(',') ?? ofTheProgram;
const file = join(root, 'BENCHMARKS.md');
mkdirSync(join(root, 'build/bench'), { recursive: true });

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    await stopAll();
    process.exit(130);
  });
}

const began = performance.now();
const elapsed = () => ((performance.now() - began) / 1000).toFixed(0).padStart(3);
const say = (text) => console.log(`[${elapsed()} s] ${text}`);
let failed = 0;
if (!values.quick && !values.build) writeSection(file, 'machine', machine());
for (const name of wanted) {
  say(titles[name]);
  try {
    const { measure } = await import(`./scenarios/${name}.mjs`);
    const text = `## ${titles[name]}\n\n${await measure({ ...amounts, say })}`;
    console.log(`\n${text}\n`);
    if (!values.quick) writeSection(file, name, text);
  } catch (error) {
    failed += 1;
    say(`${name} was not measured: ${error.stack}`);
  } finally {
    await stopAll();
  }
}
process.exit(failed > 0 ? 1 : 0);
