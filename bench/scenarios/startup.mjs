// From `berth up` (three tasks, workspace) to the first right answer of a tool, and the same of the rivals
// with the server they can host.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmServer, pause, root, Service, yamlList } from '../../test/support/berth.mjs';
import { callTool } from '../../test/support/http.mjs';
import { median } from '../lib/load.mjs';
import { freePort, stop } from '../lib/processes.mjs';
import { number, table } from '../lib/report.mjs';
import { echo, openSessions } from '../lib/sessions.mjs';
import { startRival } from './stdio.mjs';

/// Milliseconds until `attempt` succeeds.
async function first(attempt) {
  const began = performance.now();
  for (;;) {
    try {
      if (await attempt()) return performance.now() - began;
    } catch (error) {
      if (performance.now() - began > 20_000) throw error;
    }
    await pause(2);
  }
}

async function berth(server, tool, args) {
  const folder = mkdtempSync(join(root, 'build/bench/up-'));
  const port = await freePort();
  const rest = `tasks: {count: 3, cpu: 4, memory: 8GB}\nlistener: {http_port: ${port}}\n`;
  writeFileSync(join(folder, 'berth.yaml'), `name: startup\nserver:\n  ${server}\n${rest}`);
  const service = new Service(folder);
  service.launch();
  try {
    return await first(() => callTool(`http://127.0.0.1:${port}/mcp`, tool, args));
  } finally {
    await service.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function rival(which) {
  const port = await freePort();
  const began = performance.now();
  const { child, url } = await startRival(which, port, false);
  try {
    await first(async () => echo(url, (await openSessions(url, 1))[0]));
    return performance.now() - began;
  } finally {
    await stop(child);
  }
}

export async function measure({ rounds, say }) {
  const everything = `command: ${yamlList(npmServer('everything'))}`;
  const contestants = {
    'berth up, 3 tasks, workspace': () => berth('builtin: workspace', 'whoami', {}),
    'berth up, 3 tasks, server-everything': () => berth(everything, 'echo', { message: 'hello world' }),
    "server-everything's own HTTP": () => rival('own'),
    'mcp-proxy, server-everything': () => rival('mcp-proxy'),
    'supergateway, server-everything': () => rival('supergateway'),
  };
  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round < Math.max(rounds, 3); ++round) {
    for (const [name, run] of Object.entries(contestants)) {
      times[name].push(await run());
      say(`${name}: ${times[name].at(-1).toFixed(0)} ms`);
    }
  }
  return table(['', 'first answer, ms (median)', 'best', 'worst'], Object.entries(times).map(([name, all]) =>
    [name, number(median(all)), number(Math.min(...all)), number(Math.max(...all))]));
}
