// AWS's own tools over the templates of every option set in specs/: cfn-lint (schemas of all resource types,
// references, IAM actions), cdk-nag (AwsSolutions), the published resource specification, and the emulator.
// What a machine has not is skipped by name: cfn-lint comes with moto, and the npm packages of nag/ are
// installed into build/nag by this test when the network is there.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = resolve(fileURLToPath(import.meta.url), '..');
const root = resolve(here, '../..');
const run = promisify(execFile);
const options = { maxBuffer: 64 << 20 };

/// The program that prints templates: of the tests' own build.
const printer = process.env.BERTH_TEMPLATE_PRINT ?? ['build/dev', 'build/release']
  .map((folder) => join(root, folder, 'src/deploy/template_print')).find((path) => existsSync(path));
/// Berth itself, which prints what whoever deploys has to be allowed.
const berth = process.env.BERTH ?? ['build/dev', 'build/release']
  .map((folder) => join(root, folder, 'src/app/berth')).find((path) => existsSync(path));
const names = readdirSync(join(here, 'specs')).filter((name) => name.endsWith('.yaml'))
  .map((name) => basename(name, '.yaml'));
const nagFolder = join(root, 'build/nag');

const works = (program, ...words) => run(program, words, options).then(() => true, () => false);

async function installNag() {
  const wanted = readFileSync(join(here, 'nag/package.json'), 'utf8');
  const there = join(nagFolder, 'package.json');
  const installed = existsSync(join(nagFolder, 'node_modules/cdk-nag'));
  if (installed && readFileSync(there, 'utf8') === wanted) return true;
  mkdirSync(nagFolder, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    copyFileSync(join(here, 'nag', file), join(nagFolder, file));
  }
  return works('npm', 'ci', '--prefix', nagFolder, '--no-audit', '--no-fund', '--ignore-scripts');
}

const tools = {
  printer: printer !== undefined,
  cfnLint: await works('cfn-lint', '--version'),
  moto: await works('python3', '-c', 'import boto3, moto'),
  nag: await installNag(),
};

describe('Templates', () => {
  let folder;
  const files = [];

  before(async () => {
    if (!tools.printer) return;
    folder = mkdtempSync(join(tmpdir(), 'berth-templates-'));
    for (const name of names) {
      for (const part of ['base', 'service']) {
        const { stdout } = await run(printer, [part, join(here, 'specs', `${name}.yaml`)], options);
        files.push(join(folder, `${name}-${part}.json`));
        writeFileSync(files.at(-1), stdout);
      }
    }
  });
  after(() => folder && rmSync(folder, { recursive: true, force: true }));

  const skip = (tool) =>
    (!tools.printer && 'template_print is not built') || (!tools[tool] && `${tool} is missing`);

  test('have nothing that cfn-lint finds', { skip: skip('cfnLint') }, async () => {
    // Its schemas are older than some properties of AWS::ECS::Service; ours has them.
    const words = ['--non-zero-exit-code', 'informational', '--regions', 'us-east-1', 'eu-central-1',
      '--registry-schemas', join(here, 'cfn-schemas'), '--format', 'parseable', '--'];
    const found = await Promise.all(shares(files).map((share) =>
      run('cfn-lint', [...words, ...share], options).then(({ stdout }) => stdout, ({ stdout }) => stdout)));
    assert.equal(found.join('').replaceAll(`${folder}/`, ''), '');
  });

  test('have nothing that cdk-nag finds, or say why', { skip: skip('nag') }, async () => {
    const found = await Promise.all(shares(files).map((share) =>
      run(process.execPath, [join(here, 'nag/nag.mjs'), nagFolder, ...share], options)
        .then(({ stdout }) => stdout, ({ stdout, stderr }) => stdout + stderr)));
    assert.equal(found.join(''), '');
  });

  test('name to whoever deploys what IAM knows, on what IAM can limit it to', {
    skip: !berth ? 'berth is not built' : skip('cfnLint'),
  }, async (context) => {
    const policies = await Promise.all(names.map(async (name) => {
      const project = join(folder, name);
      mkdirSync(project);
      copyFileSync(join(here, 'specs', `${name}.yaml`), join(project, 'berth.yaml'));
      const { stdout } = await run(berth, ['plan', '--iam', '--json'], { ...options, cwd: project });
      writeFileSync(join(project, 'policy.json'), stdout);
      return join(project, 'policy.json');
    }));
    const found = await run('python3', [join(here, 'policy_check.py'), ...policies], options)
      .catch((error) => {
        if (error.code !== 77) throw error;
      });
    if (found) assert.equal(found.stdout, '');
    else context.skip('this cfn-lint knows no actions of IAM');
  });

  test('come up as stacks of the emulator and go again', { skip: skip('moto') }, async () => {
    const { stdout, stderr } = await run('python3', [join(here, 'templates_stacks.py'), folder], options)
      .catch((error) => error);
    assert.equal(stdout + stderr, '');
  });

  test('have only types and properties that AWS publishes', { skip: skip('nag') }, async () => {
    const load = createRequire(join(nagFolder, 'package.json'));
    const { loadAwsServiceSpec } = load('@aws-cdk/aws-service-spec');
    const database = await loadAwsServiceSpec();
    const wrong = new Set();
    for (const file of files) {
      const { Resources } = JSON.parse(readFileSync(file));
      for (const { Type, Properties = {} } of Object.values(Resources)) {
        const [resource] = [...database.lookup('resource', 'cloudFormationType', 'equals', Type)];
        if (!resource) wrong.add(Type);
        else checkProperties(database, resource.properties, Properties, Type, wrong);
      }
    }
    assert.deepEqual([...wrong], []);
  });
});

/// `files` in as many equal parts as there are processors.
function shares(files) {
  const out = Array.from({ length: Math.min(availableParallelism(), files.length) }, () => []);
  files.forEach((file, i) => out[i % out.length].push(file));
  return out;
}

const isFunction = (value) => Object.keys(value).length === 1 && /^(Ref|Fn::)/.test(Object.keys(value)[0]);

/// Adds "Type.Property.Inner" for what the specification does not have.
function checkProperties(database, known, given, path, wrong) {
  for (const [name, value] of Object.entries(given)) {
    const property = known[name];
    if (!property) wrong.add(`${path}.${name}`);
    else checkValue(database, property.type, value, `${path}.${name}`, wrong);
  }
}

function checkValue(database, type, value, path, wrong) {
  if (value === null || typeof value !== 'object' || isFunction(value)) return;
  if (Array.isArray(value)) {
    if (type.type !== 'array') return;
    for (const entry of value) checkValue(database, type.element, entry, path, wrong);
  } else if (type.type === 'ref') {
    const definition = database.get('typeDefinition', type.reference.$ref);
    checkProperties(database, definition.properties, value, path, wrong);
  } else if (type.type === 'map') {
    for (const entry of Object.values(value)) checkValue(database, type.element, entry, path, wrong);
  } else if (type.type === 'union') {
    // Fits when it fits one of them.
    const tries = type.types.map((one) => {
      const inner = new Set();
      checkValue(database, one, value, path, inner);
      return inner;
    });
    if (tries.every((inner) => inner.size > 0)) for (const problem of tries[0]) wrong.add(problem);
  }
}
