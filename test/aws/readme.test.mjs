// README's chapter "On AWS", word by word: its commands are taken out of the file itself and typed at a
// terminal in their order, in a fresh folder with the berth.yaml that the README shows, by somebody who has
// the program on PATH and credentials where the AWS SDKs find them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { execute, program, root, until } from '../support/berth.mjs';
import { calls, claude, claudeProgram, isRight, sdkClients } from '../support/clients.mjs';
import { Cloud, Project } from '../support/cloud.mjs';
import { has, imageTool, node, npmEnvironment, Workshop } from '../support/images.mjs';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const chapter = /^## On AWS$([^]*?)^## /m.exec(readme)[1];
const yaml = /^```yaml\n([^]*?)^```/m.exec(readme)[1];

/// The commands of each block of the chapter: "berth status · doctor   # why" are two.
const [withAccount, withoutAccount] = [...chapter.matchAll(/^```\n([^]*?)^```/gm)].map(([, block]) =>
  block.trim().split('\n').flatMap((line) => {
    const [first, ...others] = line.replace(/\s+#.*/, '').split(' · ');
    return [first, ...others.map((words) => `berth ${words}`)];
  }));

/// What each one shows; a command that is not here only has to succeed.
const shows = {
  'berth plan': /Resources \(\d+\)[^]*Permissions[^]*Cost\s+about \$/,
  'berth deploy': /is deployed after/,
  'berth status': /3 of 3 tasks healthy/,
  'berth logs -f': /task_listening/,
  'berth doctor': /Every link holds/,
  'berth connect': /claude mcp add/,
  'berth scale 5': /from 3 to 5 tasks/,
  'berth rollback': /runs again/,
  'berth destroy': /Nothing is left that costs money/,
  'berth template': /AWSTemplateFormatVersion[^]*infra\/service\.yaml/,
  'berth cost --what-if': /What if[^]*all Spot/,
  'berth audit': /checks pass/,
  'berth diagram -o service.svg': /wrote service\.svg/,
};

const follows = (line) => line.endsWith(' -f');

/// Types `line` at a terminal in the project's folder, says yes to every question, and Ctrl-C to a command
/// that follows once it shows what it should. {code, text}.
function type(project, line) {
  const env = { ...project.environment, TERM: 'xterm', SHELL: '/bin/sh' };
  const terminal = spawn('script', ['-qec', line, '/dev/null'], { cwd: project.folder, env });
  let text = '';
  let answered = 0;
  let interrupted = false;
  for (const stream of [terminal.stdout, terminal.stderr]) {
    stream.on('data', (data) => {
      text += data;
      const questions = text.split('[y/N]').length - 1;
      for (; answered < questions; ++answered) terminal.stdin.write('y\n');
      if (follows(line) && !interrupted && shows[line].test(text)) {
        interrupted = true;
        terminal.stdin.write('\x03');
      }
    });
  }
  terminal.stdin.on('error', () => {});
  return new Promise((done, failed) => {
    const timer = setTimeout(() => terminal.kill('SIGKILL'), 120_000);
    terminal.on('error', failed);
    terminal.on('close', (code) => {
      clearTimeout(timer);
      done({ code, text });
    });
  });
}

async function must(project, line) {
  const { code, text } = await type(project, line);
  assert.equal(code, follows(line) ? 130 : 0, `${line}: exit ${code}\n${text}`);
  if (shows[line]) assert.match(text, shows[line], line);
  return text;
}

const lacks = [
  [!has.npm, 'there is no npm'], [!node, 'there is no node among the npm packages'],
  [!imageTool, 'image_tool is not built'],
  [!(await execute('script', ['--version']).then(() => true, () => false)), 'there is no script(1)'],
].filter(([is]) => is).map(([, why]) => why)[0] ?? false;

describe('README, "On AWS"', { skip: lacks }, () => {
  let shop, cloud, project;

  before(async () => {
    shop = new Workshop();
    cloud = await Cloud.start({ speed: 5, watchSpeed: 5 });
    tls.setDefaultCACertificates([cloud.authority]);
    // The base image that it would take is in the world outside; this one is as good.
    const base = await shop.pushNode(await shop.startRegistry('registry'));
    project = new Project(cloud, `${yaml}image: {base: "${base}"}\n`);
    const bin = join(cloud.folder, 'bin');
    mkdirSync(bin);
    symlinkSync(program, join(bin, 'berth'));
    Object.assign(project.environment, npmEnvironment, { PATH: `${bin}:${process.env.PATH}` });
  });
  after(async () => {
    await cloud?.stop();
    await shop?.end();
  });

  test('has commands to follow', () => {
    assert.ok(withAccount.includes('berth deploy') && withAccount.at(-1) === 'berth destroy', withAccount);
    assert.ok(withoutAccount.length >= 4, withoutAccount);
  });

  for (const line of withAccount) {
    test(line, async () => {
      // "The image that ran before" is there once another one runs.
      if (line === 'berth rollback') {
        project.write(`${readFileSync(join(project.folder, 'berth.yaml'))}limits: {sessions_max: 9000}\n`);
        await must(project, 'berth deploy');
      }
      const text = await must(project, line);
      if (line === 'berth deploy') await callThrough(project.record().url);
      if (line === 'berth connect') await connectClaude(text);
      if (line === 'berth scale 5') {
        await until('five tasks', async () => (await cloud.running('everything')).length === 5);
      }
    });
  }

  async function callThrough(url) {
    const client = await sdkClients['SDK 1.x'](`${url}/mcp`, await project.authorization());
    const { tool, arguments: words } = calls.everything;
    assert.ok(isRight(await client.callTool({ name: tool, arguments: words }), calls.everything));
    await client.finish();
  }

  /// The line that `berth connect` prints, run by a shell with the AWS CLI and Claude Code on PATH.
  async function connectClaude(text) {
    const aws = await execute('aws', ['--version']).then(({ code }) => code === 0, () => false);
    if (!aws || !claudeProgram()) return;
    const line = /^claude mcp add .*$/m.exec(text)[0].trim();
    const home = join(cloud.folder, 'claude');
    symlinkSync(claudeProgram(), join(cloud.folder, 'bin/claude'));
    const env = { ...project.environment, HOME: home, CLAUDE_CONFIG_DIR: join(home, '.claude') };
    mkdirSync(home);
    const added = await execute('sh', ['-c', line], { cwd: home, env });
    assert.equal(added.code, 0, added.err + added.out);
    const { out } = await claude(['mcp', 'list'], { home, authority: cloud.about.ca });
    assert.match(out, /everything: .*Connected/);
  }

  test('nothing of it is left', async () => {
    const { log_groups: groups, ...left } = await cloud.control('left');
    assert.deepEqual(groups.filter((name) => name !== 'aws/spans'), []);
    for (const [kind, names] of Object.entries(left)) assert.deepEqual(names, [], kind);
  });

  for (const line of withoutAccount) {
    test(`${line}, without an account`, async () => {
      for (const name of Object.keys(project.environment)) {
        if (name.startsWith('AWS_')) delete project.environment[name];
      }
      await must(project, line);
      const file = / -o (\S+)/.exec(line)?.[1];
      if (file) assert.ok(existsSync(join(project.folder, file)));
    });
  }
});
