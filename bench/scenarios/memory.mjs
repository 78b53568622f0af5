// Idle memory of one task with the workspace server, and of 64 sessions of the older era on
// server-everything.

import { npmServer, pause, yamlList } from '../../test/support/berth.mjs';
import { memory, stop } from '../lib/processes.mjs';
import { number, table } from '../lib/report.mjs';
import { echo, openSessions } from '../lib/sessions.mjs';
import { oneTask, startRivals } from './stdio.mjs';

const cells = (name, { resident, proportional, processes }) =>
  [name, number(resident, 1), number(proportional, 1), processes];

/// Opens 64 sessions, uses each once, and waits a moment.
async function use(url) {
  const ids = await openSessions(url, 64);
  const right = await Promise.all(ids.map((id) => echo(url, id)));
  if (!right.every(Boolean)) throw new Error(`${url}: ${right.filter((x) => !x).length} of 64 wrong answers`);
  await pause(1000);
}

export async function measure({ say }) {
  const rows = [];
  const note = (name, used) => {
    say(`${name}: ${used.resident.toFixed(1)} MiB in ${used.processes} processes`);
    rows.push(cells(name, used));
  };
  const idle = await oneTask('builtin: workspace');
  try {
    await pause(1500);
    const [{ pid }] = (await idle.status()).tasks;
    note('Berth: one task, workspace, idle', memory(pid, false));
    note('Berth: the front door and supervisor, idle', memory(idle.process.pid, false));
  } finally {
    await idle.kill();
  }
  const service = await oneTask(`command: ${yamlList(npmServer('everything'))}`);
  const rivals = await startRivals();
  try {
    const [{ pid, address }] = (await service.status()).tasks;
    note('Berth: one task, server-everything, idle', memory(pid));
    await use(`http://${address}/mcp`);
    note('Berth: 64 sessions', memory(pid));
    note('of which the task itself', memory(pid, false));
    for (const { name, url, child } of rivals) {
      note(`${name}, idle`, memory(child.pid));
      await use(url);
      note(`${name}: 64 sessions`, memory(child.pid));
    }
  } finally {
    await Promise.all([service.kill(), ...rivals.map(({ child }) => stop(child))]);
  }
  return table(['', 'resident MiB', 'proportional MiB', 'processes'], rows);
}
