// The official conformance suite through the front door of `berth up` with three tasks: every
// required scenario of the revision must pass.
//   node run.mjs [--results FILE] [--only NAME]     run all four legs, or one
//   node run.mjs --url URL --requirements REVISION  score any server, without Berth

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execute, packages, root, Service, yamlList } from '../support/berth.mjs';

const suite = join(packages, '@modelcontextprotocol/conformance/dist/index.js');
const fixtures = join(root, 'test/fixtures/node');

/// The program of the native fixture, built beside `berth`.
function nativeFixture() {
  const named = process.env.BERTH_NATIVE_FIXTURE;
  const places = ['test/conformance/conformance_server', 'examples/conformance_server'];
  return named ?? places.map((place) => join(root, 'build/release', place)).find((file) => existsSync(file));
}

const stdio = (file) => `  command: ${yamlList([process.execPath, join(fixtures, file)])}`;
const legs = [
  { name: 'native 2025-11-25', server: () => native(), requirements: '2025-11-25', required: 30 },
  { name: 'native 2026-07-28', server: () => native(), requirements: '2026-07-28', required: 37 },
  {
    name: 'legacy stdio 2025-11-25', server: () => stdio('legacy_server.mjs'), requirements: '2025-11-25',
    required: 30,
  },
  {
    name: 'dual stdio 2025-11-25', server: () => stdio('modern_server.mjs'), requirements: '2025-11-25',
    required: 30,
  },
  {
    name: 'modern stdio 2026-07-28', server: () => stdio('modern_server.mjs'), requirements: '2026-07-28',
    required: 37,
  },
];

function native() {
  const file = nativeFixture();
  if (!file) throw new Error('the native fixture conformance_server is not built');
  return `  native: ${yamlList([file])}`;
}

/// Reads what the suite prints: one line a scenario after SUMMARY, then the names that do not count.
export function parseReport(text) {
  const summary = text.slice(text.indexOf('=== SUMMARY ==='));
  const scored = new Map();
  const unscored = new Set();
  for (const line of summary.split('\n')) {
    const scenario = /^([✓✗]) (\S+): (\d+) passed, (\d+) failed/.exec(line);
    if (scenario) {
      const [, mark, name, good, bad] = scenario;
      scored.set(name, { passed: mark === '✓', checks: `${good}/${bad}` });
    }
    const other = /^ {2}[✓✗] (\S+) \(/.exec(line);
    if (other) unscored.add(other[1]);
  }
  const required = [...scored].filter(([name]) => !unscored.has(name));
  return {
    required: required.map(([name, { passed, checks }]) => ({ name, passed, checks })),
    optional: [...scored].filter(([name]) => unscored.has(name))
      .map(([name, { passed }]) => ({ name, passed })),
  };
}

export async function score(url, requirements, output) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const args = [suite, 'server', '--url', url, '--requirements', requirements, '-o', output];
  const { out, err } = await execute(process.execPath, args, { cwd: output, timeout: 300_000 });
  writeFileSync(join(output, 'log.txt'), out + err);
  return parseReport(out);
}

/// The failed checks of a scenario, from the files that the suite leaves behind.
async function explain(output, scenario) {
  const { readFileSync } = await import('node:fs');
  const folder = readdirSync(output).find((name) => name.startsWith(`server-${scenario}-20`));
  if (!folder) return [];
  const checks = JSON.parse(readFileSync(join(output, folder, 'checks.json'), 'utf8'));
  return checks.filter((check) => check.status === 'FAILURE')
    .map((check) => `${check.id}: ${String(check.errorMessage).slice(0, 300)}`);
}

async function report(name, output, { required, optional }, expected, lines) {
  const passed = required.filter((scenario) => scenario.passed).length;
  for (const scenario of required) {
    lines.push(`${scenario.passed ? 'pass' : 'fail'}\tconformance\t${name}: ${scenario.name}`);
    if (scenario.passed) continue;
    console.log(`  ✗ ${scenario.name} (${scenario.checks} checks passed/failed)`);
    for (const reason of await explain(output, scenario.name)) console.log(`      ${reason}`);
  }
  if (required.length !== expected) {
    lines.push(`fail\tconformance\t${name}: ${required.length} scenarios ran instead of ${expected}`);
  }
  const extra = optional.filter((scenario) => scenario.passed).length;
  console.log(`${name}: ${passed}/${expected} required, ${extra}/${optional.length} of those not scored`);
  return passed === expected && required.length === expected;
}

async function runLeg({ name, server, requirements, required }, lines) {
  const output = join(root, 'build/conformance', name.replaceAll(' ', '-'));
  let service;
  try {
    const yaml = `name: conformance\nserver:\n${server()}\ntasks: {count: 3, zones: [a, b, c]}\n`;
    service = await Service.start(undefined, yaml, { name: 'conformance' });
    const result = await score(await service.url('http'), requirements, output);
    const good = await report(name, output, result, required, lines);
    if (!good) writeFileSync(join(output, 'berth.txt'), service.output);
    return good;
  } catch (error) {
    console.log(`${name}: ${error.message}`);
    lines.push(`fail\tconformance\t${name}: ${error.message.split('\n')[0]}`);
    return false;
  } finally {
    await service?.kill();
    if (service) rmSync(service.folder, { recursive: true, force: true });
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      results: { type: 'string' }, only: { type: 'string' }, url: { type: 'string' },
      requirements: { type: 'string' },
    },
  });
  const lines = [];
  let good = true;
  if (values.url) {
    const required = values.requirements === '2025-11-25' ? 30 : 37;
    const output = join(root, 'build/conformance/url');
    const result = await score(values.url, values.requirements, output);
    good = await report(values.url, output, result, required, lines);
  } else {
    for (const leg of legs.filter(({ name }) => !values.only || name.includes(values.only))) {
      good = await runLeg(leg, lines) && good;
    }
  }
  if (values.results) writeFileSync(values.results, lines.map((line) => `${line}\n`).join(''));
  process.exit(good ? 0 : 1);
}

await main();
