// What a server answers alone over stdio, what it answers under `berth up`, and whether that is the same.

import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Service, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';

export const info = { name: 'berth-farm', version: '1.0.0' };
export const connectTimeout = 120_000;

/// How `server`, installed below `folder` (a node_modules), starts: {command, env}. `state` is a folder of
/// its own, its HOME and working directory.
export function launch(server, folder, state) {
  const home = join(folder, server.package);
  const { bin } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  const script = typeof bin === 'string' ? bin : server.bin ? bin[server.bin] : Object.values(bin)[0];
  const fill = (text) => text.replace('{state}', state);
  const env = Object.entries({ HOME: state, ...server.env }).map(([name, value]) => [name, fill(value)]);
  return {
    command: [process.execPath, join(home, script), ...(server.args ?? []).map(fill)],
    env: Object.fromEntries(env),
  };
}

/// Members of results and tools that one era has and the other has not.
const membersOfAnEra = ['_meta', 'resultType', 'ttlMs', 'cacheScope', 'execution'];

/// `value` as JSON in one order, without members of the names in `leftOut`.
function text(value, leftOut) {
  return JSON.stringify(value, (key, one) => {
    if (one === null || typeof one !== 'object' || Array.isArray(one)) return one;
    const kept = Object.keys(one).filter((name) => !leftOut.includes(name)).sort();
    return Object.fromEntries(kept.map((name) => [name, one[name]]));
  }) ?? 'none';
}

async function allTools(client) {
  const tools = [];
  for (let cursor; ;) {
    const page = await client.listTools(cursor ? { cursor } : undefined);
    tools.push(...page.tools);
    cursor = page.nextCursor;
    if (!cursor) return tools;
  }
}

/// Asks a connected client for the tools and for one call, and ends it.
async function answers(client, { call: [name, args] }) {
  try {
    const { name: told, version } = client.getServerVersion() ?? {};
    const tools = await allTools(client);
    const call = await client.callTool({ name, arguments: args })
      .catch((error) => ({ code: error.code, message: error.message }));
    const instructions = client.getInstructions();
    return { server: { name: told, version }, instructions, tools, call, era: client.getProtocolEra?.() };
  } finally {
    await (client.finish ?? client.close).call(client).catch(() => {});
  }
}

/// The truth: what the server answers to the SDK's own stdio client, of SDK '1.x' or '2.x'.
async function alone(server, folder, state, sdk) {
  const { command: [command, ...args], env } = launch(server, folder, state);
  const started = { command, args, env: { ...process.env, ...env }, stderr: 'ignore', cwd: state };
  const [client, transport] = sdk === '1.x'
    ? [new ClientV1(info), new StdioV1(started)]
    : [new ClientV2(info, { versionNegotiation: { mode: 'auto' } }), new StdioV2(started)];
  try {
    await client.connect(transport, { timeout: connectTimeout });
  } catch (error) {
    await client.close().catch(() => {});
    throw new Error(`alone, with SDK ${sdk}: ${error.message}`);
  }
  return answers(client, server);
}

/// Where two answers part, as one line; undefined when they are the same. Between two eras, members that only
/// one of them has are no difference.
function difference(truth, told, isOneEra) {
  const leftOut = isOneEra ? [] : membersOfAnEra;
  for (const part of ['server', 'instructions', 'tools', 'call']) {
    const [right, is] = [text(truth[part], leftOut), text(told[part], leftOut)];
    if (right === is) continue;
    let at = 0;
    while (right[at] === is[at]) at += 1;
    const near = (whole) => whole.slice(Math.max(0, at - 40), at + 100);
    return `${part}: alone …${near(right)}…, here …${near(is)}…`;
  }
  return undefined;
}

/// Which clients ask, and by which truth theirs is judged. A server that keeps what one client did in its
/// process is asked in sessions, each of which has a process.
const askers = (server) => [
  { client: 'SDK 1.x', sdk: '1.x' },
  server.stateful ? { client: 'SDK 2.x legacy', sdk: '2.x' } : { client: 'SDK 2.x auto', sdk: '2.x' },
];

/// What the service itself says of how it went: a task or a process that ended, an era that is not the
/// server's.
async function judgement(service, era) {
  const problems = [];
  for (const { id, restarts } of (await service.status()).tasks) {
    if (restarts > 0) problems.push(`task ${id} was restarted ${restarts} times`);
  }
  const log = (await service.berth('logs', '--json')).out;
  const events = log.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const judged = events.filter(({ event }) => event === 'server_era').map((event) => event.era);
  if (judged.some((name) => name !== era)) problems.push(`its era is ${era}, judged ${judged.join(', ')}`);
  const ended = events.filter(({ event }) => event === 'server_ended');
  if (ended.length > 0) problems.push(`its process ended: ${JSON.stringify(ended[0])}`);
  return problems;
}

/// Runs one server alone, and then on a task of `berth up` with the limits that a service has by default.
/// {name, era, tools, called, alone_ms, here_ms, problems}; `t` owns what is started.
export async function compare(t, server, folder, state) {
  const result = { name: server.package, problems: [] };
  mkdirSync(state, { recursive: true });
  try {
    const truth = {};
    let began = performance.now();
    for (const sdk of ['1.x', '2.x']) truth[sdk] = await alone(server, folder, state, sdk);
    result.alone_ms = Math.round((performance.now() - began) / 2);
    const { era, tools, call } = truth['2.x'];
    const called = call.isError || call.message ? 'refused' : 'answered';
    Object.assign(result, { era, tools: tools.length, called });

    const { command, env } = launch(server, folder, state);
    const isolation = server.stateful ? '  isolation: session\n' : '';
    const yaml = `name: farm\nserver:\n  command: ${yamlList(command)}\n  env: ${JSON.stringify(env)}\n` +
      `  cwd: ${JSON.stringify(state)}\n${isolation}tasks: {count: 1}\n`;
    const service = await Service.start(t, yaml, { name: 'farm' });
    began = performance.now();
    for (const { client, sdk } of askers(server)) {
      const told = await answers(await sdkClients[client](await service.url()), server);
      const differs = difference(truth[sdk], told, (told.era ?? 'legacy') === era);
      if (differs) result.problems.push(`${client}: ${differs}`);
    }
    result.here_ms = Math.round((performance.now() - began) / 2);
    result.problems.push(...await judgement(service, era));
    await service.kill();
  } catch (error) {
    result.problems.push(error.message);
  }
  return result;
}
