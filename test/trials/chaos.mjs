// Clients of both eras write into a ledger while tasks and servers are killed, stopped, drained and scaled.
// What must hold: no call runs twice, none that was answered did not run, and of one that was refused without
// the words "may have run" the ledger knows nothing.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, commandLine, pause, root, Service, temporaryFolder, yamlList } from '../support/berth.mjs';
import { ModernCaller, outcomeOf, SessionCaller } from './sessions.mjs';

const server = join(root, 'test/fixtures/node/ledger_server.mjs');
const isServer = (pid) => commandLine(pid).includes(server);
const pick = (list) => list[Math.floor(Math.random() * list.length)];

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    return;  // It has just ended by itself.
  }
}

/// What is done to the service, one after the other.
const blows = {
  'kill -9 of a task': async ({ service, tasks }) => signal(pick(await tasks(service)).pid, 'SIGKILL'),
  'kill -9 of a server': async ({ service }) => {
    const children = service.tree().filter(isServer);
    if (children.length > 0) signal(pick(children), 'SIGKILL');
  },
  'a task stands still for 3 s': async ({ service, tasks }) => {
    const { pid } = pick(await tasks(service));
    signal(pid, 'SIGSTOP');
    await pause(3_000);
    signal(pid, 'SIGCONT');
  },
  'SIGTERM of a task': async ({ service, tasks }) => signal(pick(await tasks(service)).pid, 'SIGTERM'),
  'berth restart': ({ service }) => service.berth('restart'),
  'berth scale 4': ({ service }) => service.berth('scale', '4'),
  'berth scale 3': ({ service }) => service.berth('scale', '3'),
  'a task stands still until it is lost': async ({ service, tasks }) => {
    const { pid } = pick(await tasks(service));
    signal(pid, 'SIGSTOP');
    await pause(15_000);
    signal(pid, 'SIGCONT');
  },
};

/// Calls `append` with a new id each time until `state.running` is false. What is told to be refused for now
/// is asked again with the same id, as clients do.
async function client(caller, name, state) {
  for (let n = 0; state.running; ++n) {
    const id = `${name}-${n}`;
    for (;;) {
      let told;
      let status;
      try {
        const answer = await caller.call('append', { id, ms: pick([0, 0, 5, 100, 700]) });
        status = answer.status;
        told = outcomeOf(answer);
      } catch (error) {
        told = { error: error.message, unsaid: true };
      }
      if (told.text === `appended ${id}`) {
        state.outcomes.set(id, 'answered');
      } else if (told.unsaid) {
        state.outcomes.set(id, 'unsaid');
        state.problems.push(`${id}: nothing was said: ${told.error}`);
      } else if (/may have run/.test(told.error)) {
        state.outcomes.set(id, 'unknown');
      } else if ([404, 429, 503].includes(status)) {
        state.again += 1;
        await pause(50);
        if (state.running) continue;
        state.outcomes.set(id, 'refused');
      } else {
        state.outcomes.set(id, 'refused');
        state.refused.set(id, told.error);
      }
      break;
    }
  }
}

/// What the ledger says of what clients were told.
function audit(ledger, { outcomes, refused }) {
  const runs = new Map();
  for (const id of readFileSync(ledger, 'utf8').split('\n').filter(Boolean)) {
    runs.set(id, (runs.get(id) ?? 0) + 1);
  }
  const problems = [];
  for (const [id, count] of runs) {
    if (count > 1) problems.push(`${id} ran ${count} times and was ${outcomes.get(id)}`);
    if (outcomes.get(id) === 'refused') {
      problems.push(`${id} ran, but its client was told: ${refused.get(id)}`);
    }
  }
  for (const [id, outcome] of outcomes) {
    if (outcome === 'answered' && !runs.has(id)) problems.push(`${id} was answered and never ran`);
  }
  return problems;
}

/// {calls, unknown, refused, again, blows, problems}
export async function chaos(t, { seconds, clients, say = () => {}, wanted = Object.keys(blows) }) {
  const ledger = join(temporaryFolder(t, 'ledger'), 'ledger');
  writeFileSync(ledger, '');
  const command = yamlList([process.execPath, server, ledger]);
  const service = await Service.start(t, `name: chaos\nserver: {command: ${command}}\n` +
    'tasks: {count: 3, zones: [a, b, c], drain_timeout: 5s}\n', { name: 'chaos' });
  const url = await service.url();

  const state = { running: true, outcomes: new Map(), refused: new Map(), problems: [], again: 0 };
  const callers = Array.from({ length: clients }, (_, at) =>
    (at % 2 === 0 ? new ModernCaller(url) : new SessionCaller(url)));
  const running = callers.map((caller, at) => client(caller, `${caller.constructor.name}-${at}`, state));

  const deadline = performance.now() + seconds * 1000;
  const tasks = async () => (await service.status()).tasks.filter(({ pid }) => alive(pid));
  let count = 0;
  while (performance.now() < deadline) {
    const name = wanted[count % wanted.length];
    say(`${name}; ${state.outcomes.size} calls, ${state.problems.length} problems`);
    await blows[name]({ service, tasks });
    count += 1;
    await pause(1_500);
  }
  state.running = false;
  await Promise.all(running);
  await service.healthy(undefined, 90_000).catch((error) => state.problems.push(error.message));
  for (const caller of callers) caller.close();
  state.problems.push(...audit(ledger, state));
  const told = [...state.outcomes.values()];
  const number = (outcome) => told.filter((one) => one === outcome).length;
  return {
    calls: told.length, answered: number('answered'), unknown: number('unknown'), refused: number('refused'),
    again: state.again, blows: count, refusals: [...new Set(state.refused.values())],
    problems: state.problems,
  };
}
