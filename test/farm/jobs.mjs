// Small jobs for servers that keep what one client did in their process: open, act, read back, in five steps.
// Each is done alone over stdio, and through three tasks of `berth up` by a client of the stateless era, and
// has to end the same way.
//
//   steps   [tool, arguments or a function of what is known, check]: the check gets the text of the result,
//           and gives what later steps are to know, or throws
//   needs   'chromium': is left out where there is none (CHROMIUM names one that is not on the PATH)

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import assert from 'node:assert/strict';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, join } from 'node:path';
import { Service, yamlList } from '../support/berth.mjs';
import { sdkClients } from '../support/clients.mjs';
import { connectTimeout, info, launch } from './compare.mjs';

const saw = (pattern) => (text) => { assert.match(text, pattern); };

const onPage = (text) => ({ pageId }) => ({ pageId, function: text });

export const jobs = [
  { package: '@playwright/mcp', needs: 'chromium',
    args: ['--isolated', '--headless', '--no-sandbox', '--executable-path', '{chromium}'],
    steps: [
      ['browser_navigate', { url: '{page}' }, saw(/Counter/)],
      ['browser_evaluate', { function: '() => document.querySelector("button").click()' }, saw(/./)],
      ['browser_evaluate', { function: '() => document.querySelector("button").click()' }, saw(/./)],
      ['browser_evaluate', { function: '() => document.querySelector("p").textContent' }, saw(/clicked 2/)],
      ['browser_tabs', { action: 'list' }, saw(/Counter/)],
    ] },
  { package: 'chrome-devtools-mcp', needs: 'chromium',
    args: ['--isolated', '--headless', '--executablePath={chromium}', '--chromeArg=--no-sandbox'],
    steps: [
      ['new_page', { url: '{page}' }, (text) => ({ pageId: Number(/^(\d+): .*selected/m.exec(text)[1]) })],
      ['evaluate_script', onPage('() => document.querySelector("button").click()'), saw(/./)],
      ['evaluate_script', onPage('() => document.querySelector("button").click()'), saw(/./)],
      ['evaluate_script', onPage('() => document.querySelector("p").textContent'), saw(/clicked 2/)],
      ['list_pages', {}, saw(/127\.0\.0\.1/)],
    ] },
  { package: '@modelcontextprotocol/server-puppeteer', needs: 'chromium',
    env: { PUPPETEER_EXECUTABLE_PATH: '{chromium}', DOCKER_CONTAINER: '1' },
    steps: [
      ['puppeteer_navigate', { url: '{page}' }, saw(/Navigated/)],
      ['puppeteer_click', { selector: 'button' }, saw(/Clicked/)],
      ['puppeteer_click', { selector: 'button' }, saw(/Clicked/)],
      ['puppeteer_evaluate', { script: 'document.querySelector("p").textContent' }, saw(/clicked 2/)],
      ['puppeteer_evaluate', { script: 'document.title' }, saw(/Counter/)],
    ] },
  { package: '@wonderwhy-er/desktop-commander', bin: 'desktop-commander',
    steps: [
      ['start_process', { command: 'bash --norc', timeout_ms: 1500 },
        (text) => ({ pid: Number(/PID (\d+)/.exec(text)[1]) })],
      ['interact_with_process', ({ pid }) => ({ pid, input: 'kept=41', timeout_ms: 1500 }), saw(/./)],
      ['interact_with_process', ({ pid }) => ({ pid, input: 'echo "is $((kept + 1))"', timeout_ms: 1500 }),
        saw(/is 42/)],
      ['list_sessions', {}, (text, { pid }) => { assert.match(text, new RegExp(String(pid))); }],
      ['force_terminate', ({ pid }) => ({ pid }), saw(/./)],
    ] },
];

export function chromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const usual = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [process.env.CHROMIUM, ...usual].find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/// A page that counts clicks, on loopback.
async function countingPage() {
  const text = '<title>Counter</title><button onclick="p.textContent=\'clicked \'+(n+=1)">add</button>' +
    '<p id="p">clicked 0</p><script>let n = 0;</script>';
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(text));
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/// `value` with {page} and {chromium} filled in, however deep.
const filled = (value, words) => JSON.parse(
  JSON.stringify(value).replaceAll(/\{(page|chromium)\}/g, (_, name) => words[name] ?? ''));

async function perform(client, steps) {
  let known = {};
  for (const [tool, args, check] of steps) {
    const given = typeof args === 'function' ? args(known) : args;
    const result = await client.callTool({ name: tool, arguments: given }, { timeout: 60_000 });
    const text = (result.content ?? []).map((part) => part.text ?? '').join('\n');
    if (result.isError) throw new Error(`${tool}: ${text.slice(0, 300)}`);
    if (result._meta?.['berth/notice']) throw new Error(`${tool}: ${result._meta['berth/notice']}`);
    try {
      known = { ...known, ...check(text, known) };
    } catch (error) {
      throw new Error(`${tool}: ${error.message.split('\n')[0]}: ${text.slice(0, 300)}`);
    }
  }
}

async function timed(act) {
  const began = performance.now();
  await act();
  return Math.round(performance.now() - began);
}

/// {name, alone_ms, here_ms, problems}; `t` owns what is started.
export async function doJob(t, job, folder, state) {
  const result = { name: job.package, problems: [] };
  const page = await countingPage();
  const words = { page: page.url, chromium: chromium() };
  const steps = job.steps.map(([tool, args, check]) =>
    [tool, typeof args === 'function' ? args : filled(args, words), check]);
  const { steps: _, ...server } = job;
  mkdirSync(state, { recursive: true });
  try {
    const { command, env } = launch(filled(server, words), folder, state);
    const client = new Client(info, { versionNegotiation: { mode: 'auto' } });
    const [program, ...args] = command;
    const started = { command: program, args, env: { ...process.env, ...env }, stderr: 'ignore', cwd: state };
    await client.connect(new StdioClientTransport(started), { timeout: connectTimeout });
    try {
      result.alone_ms = await timed(() => perform(client, steps));
    } finally {
      await client.close().catch(() => {});
    }
    const service = await Service.start(t,
      `name: job\nserver:\n  command: ${yamlList(command)}\n  env: ${JSON.stringify(env)}\n` +
      `  cwd: ${JSON.stringify(state)}\n  state: process\ntasks: {count: 3}\n`, { name: 'job' });
    const here = await sdkClients['SDK 2.x auto'](await service.url(), { 'berth-client': 'job' });
    result.here_ms = await timed(() => perform(here, steps));
    await here.finish();
    await service.kill();
  } catch (error) {
    result.problems.push(error.message);
  } finally {
    page.close();
  }
  return result;
}
