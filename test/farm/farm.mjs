// Thirty unrelated MCP servers, each alone and under `berth up`: a table, and exit code 1 where one of them
// does not answer the same. Those that keep state do a small job besides, alone and through three tasks.
// node farm.mjs [--only NAME…]   NAME: a part of the package's name

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../support/berth.mjs';
import { Owner } from '../trials/owner.mjs';
import { compare } from './compare.mjs';
import { chromium, doJob, jobs } from './jobs.mjs';
import { servers } from './servers.mjs';

const { values, positionals } = parseArgs({
  options: { only: { type: 'string', multiple: true } }, allowPositionals: true,
});
const names = [...(values.only ?? []), ...positionals];
const isWanted = (server) => names.length === 0 || names.some((name) => server.package.includes(name));
const wanted = servers.filter(isWanted);
const work = jobs.filter(isWanted);
if (wanted.length + work.length === 0) {
  console.error(`No server of the farm is named like ${names.join(' or ')}.`);
  process.exit(2);
}
const folder = join(root, 'build/farm/node_modules');
const states = join(root, 'build/farm/state');
rmSync(states, { recursive: true, force: true });
mkdirSync(states, { recursive: true });

const columns = [
  ['server', 46], ['era', 7], ['tools', 5], ['call', 9], ['alone', 7], ['here', 7], ['verdict', 0],
];
const line = (cells) =>
  console.log(cells.map((cell, at) => String(cell).padEnd(columns[at][1])).join(' ').trimEnd());
const seconds = (milliseconds) =>
  (milliseconds === undefined ? '–' : `${(milliseconds / 1000).toFixed(1)} s`);
line(columns.map(([name]) => name));

const parallel = 2;
let next = 0;
let different = 0;
let undone = 0;
async function worker() {
  while (next < wanted.length) {
    const server = wanted[next++];
    const owner = new Owner();
    const state = join(states, server.package.replaceAll(/[^a-z0-9]+/gi, '-').replace(/^-/, ''));
    const seen = await compare(owner, server, folder, state);
    await owner.end();
    if (seen.problems.length > 0) different += 1;
    line([seen.name, seen.era ?? '–', seen.tools ?? '–', seen.called ?? '–', seconds(seen.alone_ms),
      seconds(seen.here_ms), seen.problems.length === 0 ? 'the same' : seen.problems.join('; ')]);
  }
}
await Promise.all(Array.from({ length: parallel }, worker));
for (const job of work) {
  if (job.needs === 'chromium' && !chromium()) {
    line([job.package, '–', '–', 'job', '–', '–', 'left out: there is no chromium on the PATH']);
    continue;
  }
  const owner = new Owner();
  const seen = await doJob(owner, job, folder, join(states, `job-${jobs.indexOf(job)}`));
  await owner.end();
  if (seen.problems.length > 0) undone += 1;
  line([seen.name, '–', '–', 'job', seconds(seen.alone_ms), seconds(seen.here_ms),
    seen.problems.length === 0 ? 'done in both' : seen.problems.join('; ')]);
}
console.log(`${wanted.length - different} of ${wanted.length} servers give the answers that they give alone`);
process.exit(different + undone === 0 ? 0 : 1);
