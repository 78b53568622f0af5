// Real clients against real servers through the front door: three tasks, HTTP and HTTPS. For every pair of an
// SDK client and a server 100 of 100 connects and 1000 of 1000 calls. Programs that are started for every
// connect (the Inspector, Claude Code) do BERTH_CLIENT_ROUNDS of them, 1 unless told otherwise.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { npmServer, Service, yamlList } from '../support/berth.mjs';
import {
  calls, claude, claudeCallsTool, claudeProgram, connectAndCall, inspector, isRight, sdkClients,
} from '../support/clients.mjs';

const servers = {
  everything: () => `command: ${yamlList(npmServer('everything'))}`,
  filesystem: () => `command: ${yamlList(npmServer('filesystem', '/tmp'))}`,
  memory: () => `command: ${yamlList(npmServer('memory'))}`,
  'sequential-thinking': () => `command: ${yamlList(npmServer('sequential-thinking'))}`,
  workspace: () => 'builtin: workspace',
};

const rounds = Number(process.env.BERTH_CLIENT_ROUNDS ?? 1);

for (const [name, server] of Object.entries(servers)) {
  describe(name, () => {
    const call = calls[name];
    const urls = {};
    const contexts = {};
    let service;

    before(async () => {
      service = await Service.start(undefined,
        `name: ${name}\nserver:\n  ${server()}\ntasks: {count: 3, zones: [a, b, c]}\n`, { name });
      urls.http = await service.url('http');
      urls.https = await service.url('https');
      const authority = service.authorityFile();
      assert.ok(authority, 'the local authority left a certificate to trust');
      tls.setDefaultCACertificates([readFileSync(authority, 'utf8')]);
      for (const scheme of ['http', 'https']) {
        const home = join(service.folder, `home-${scheme}`);
        mkdirSync(home);
        contexts[scheme] = { home, authority };
      }
    });
    after(() => service?.kill());

    for (const scheme of ['http', 'https']) {
      for (const [client, connectTo] of Object.entries(sdkClients)) {
        test(`${client} over ${scheme}: 100 of 100 connects, 1000 of 1000 calls`, async () => {
          const outcome = await connectAndCall(connectTo, urls[scheme], call);
          assert.deepEqual(outcome, { connected: 100, answered: 1000, problems: [] });
        });
      }

      test(`Inspector over ${scheme} lists tools and calls one`, async () => {
        const words = Object.entries(call.arguments)
          .flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]);
        for (let round = 0; round < rounds; ++round) {
          for (const era of ['legacy', 'modern']) {
            const listed = await inspector(urls[scheme], era, ['--method', 'tools/list'], contexts[scheme]);
            const names = (listed.result ?? listed).tools.map((tool) => tool.name);
            assert.ok(names.includes(call.tool), `${era}: ${names}`);
          }
          const called = await inspector(urls[scheme], 'legacy',
            ['--method', 'tools/call', '--tool-name', call.tool, ...words], contexts[scheme]);
          assert.ok(isRight(called.result ?? called, call), JSON.stringify(called));
        }
      });

      const skip = claudeProgram() ? false : 'the claude program is not installed';
      test(`Claude Code over ${scheme} connects and calls a tool ten times`, { skip }, async () => {
        const context = contexts[scheme];
        const added = await claude(['mcp', 'add', '--transport', 'http', 'demo', urls[scheme]], context);
        assert.equal(added.code, 0, added.err);
        for (let round = 0; round < rounds; ++round) {
          const listed = await claude(['mcp', 'list'], context);
          assert.match(listed.out, /demo: .*Connected/, listed.out);
          const { turns, results } = await claudeCallsTool(urls[scheme], call, context, 10);
          assert.ok(turns >= 11, `${turns} turns`);
          assert.equal(results.filter((result) => call.right.test(result)).length, 10, String(results));
        }
      });
    }
  });
}
