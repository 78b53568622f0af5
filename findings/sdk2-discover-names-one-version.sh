#!/usr/bin/env bash
# @modelcontextprotocol/server 2.4.0 (npm): a server made with serveStdio() answers server/discover with
# supportedVersions ["2026-07-28"] alone, and a first initialize of 2025-11-25 all the same with that
# revision. A client that reads from supportedVersions what a server speaks never learns that it speaks the
# session era; it has to try. It may do so in the very process that has answered server/discover.
#
# Seen with Node 22:
#   discover:   ["2026-07-28"]
#   initialize: 2025-11-25
#   initialize after discover, same process: 2025-11-25
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @modelcontextprotocol/server@2.4.0 zod@4 >/dev/null
cat >server.mjs <<'END'
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
serveStdio(() => {
  const server = new McpServer({ name: 'plain', version: '1.0.0' });
  const hello = { content: [{ type: 'text', text: 'hello' }] };
  server.registerTool('hello', { description: 'Says hello' }, () => hello);
  return server;
});
END
cat >ask.mjs <<'END'
import { spawn } from 'node:child_process';
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'asker', version: '1' },
};
const discover = { method: 'server/discover', params: { _meta: meta } };
const initialize = {
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'asker', version: '1' } },
};
function ask(...requests) {
  return new Promise((done) => {
    const child = spawn(process.execPath, ['server.mjs'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const answers = [];
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        answers.push(JSON.parse(text.slice(0, end)));
        text = text.slice(end + 1);
        if (answers.length < requests.length) send();
        else child.kill();
      }
    });
    child.on('close', () => done(answers));
    const send = () => child.stdin.write(
      `${JSON.stringify({ jsonrpc: '2.0', id: answers.length, ...requests[answers.length] })}\n`);
    send();
  });
}
const [found] = await ask(discover);
const [begun] = await ask(initialize);
const [, late] = await ask(discover, initialize);
console.log(`discover: ${JSON.stringify(found.result.supportedVersions)}`);
console.log(`initialize: ${begun.result?.protocolVersion ?? begun.error.code}`);
console.log(`initialize after discover, same process: ${late.result?.protocolVersion ?? late.error.code}`);
END
timeout 60 node ask.mjs | tee seen
diff seen - <<'END'
discover: ["2026-07-28"]
initialize: 2025-11-25
initialize after discover, same process: 2025-11-25
END
