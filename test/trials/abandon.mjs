// Clients that open a session and never come back. What must hold: what a task holds for them stays within
// bounds however many they are, also on the shared volume, and goes back once their sessions have ended.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { pause, Service, until } from '../support/berth.mjs';
import { request } from '../support/http.mjs';

const idle_s = 20;
const sessions_max = 10_000;
const parallel = 48;
/// A full table of sessions, its replay logs and the heap's own share.
const growth_mib_max = 128;
/// Of what it grew by, what may stay with the heap.
const rest_share_max = 0.5;
const disk_mib_max = 12;

const body = JSON.stringify({
  jsonrpc: '2.0', id: 1, method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'gone', version: '1' } },
});
const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/// Memory of a process that is not a file's, in MiB.
const heldMiB = (pid) =>
  Number(/^Pss_Anon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;

/// Files below `folder`, and their bytes in MiB.
function disk(folder) {
  let files = 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return { files, mib: bytes / 2 ** 20 };
}

async function sessionsOf(task) {
  const { text } = await request(`http://${task.address}/metrics`, { method: 'GET' });
  return Number(/^berth_mcp_sessions\{[^}]*\} (\d+)$/m.exec(text)[1]);
}

export async function abandon(owner, { sessions, say }) {
  const problems = [];
  const service = await Service.start(owner,
    `name: abandon\nserver: {builtin: workspace}\ntasks: {count: 3}\n` +
    `limits: {session_idle_timeout: ${idle_s}s, sessions_max: ${sessions_max}}\n`, { name: 'abandon' });
  const { tasks: [task, sister] } = await service.status();
  const fleet = join(service.folder, '.berth/data/fleet');
  const before = heldMiB(task.pid);
  const agent = new http.Agent({ keepAlive: true, maxSockets: parallel });
  let opened = 0;
  let next = 0;
  let most = before;
  let mostSessions = 0;
  let mostDisk = 0;
  const worker = async () => {
    while (next++ < sessions) {
      const answer = await request(`http://${task.address}/mcp`, { headers, body, agent });
      if (answer.status === 200) opened += 1;
      else problems.push(`HTTP ${answer.status}: ${answer.text.slice(0, 200)}`);
      if (opened % Math.ceil(sessions / 20) !== 0) continue;
      most = Math.max(most, heldMiB(task.pid));
      mostSessions = Math.max(mostSessions, await sessionsOf(task));
      const { files, mib } = disk(fleet);
      mostDisk = Math.max(mostDisk, mib);
      const written = `${files} files of ${mib.toFixed(1)} MiB`;
      say(`${opened} opened, ${mostSessions} held, ${most.toFixed(0)} MiB, ${written}`);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: parallel }, worker));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  await until('every session has ended', async () => (await sessionsOf(task)) === 0, (idle_s + 90) * 1000);
  await pause(3000);
  const after = heldMiB(task.pid);
  const { files, mib } = disk(fleet);
  if (opened < sessions) problems.push(`${opened} of ${sessions} sessions were opened`);
  if (mostSessions > sessions_max) problems.push(`${mostSessions} sessions were held`);
  if (most - before > growth_mib_max) problems.push(`a task grew by ${(most - before).toFixed(0)} MiB`);
  if (after - before > (most - before) * rest_share_max) {
    problems.push(`of ${(most - before).toFixed(0)} MiB ${(after - before).toFixed(0)} did not go back`);
  }
  if (mostDisk > disk_mib_max) problems.push(`the fleet's folder took ${mostDisk.toFixed(1)} MiB`);
  return {
    problems, opened, per_second: Math.round(opened / seconds), before_mib: Math.round(before),
    most_mib: Math.round(most), after_mib: Math.round(after), sister_mib: Math.round(heldMiB(sister.pid)),
    most_disk_mib: Number(mostDisk.toFixed(1)), files, disk_mib: Number(mib.toFixed(1)),
  };
}
