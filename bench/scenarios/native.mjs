// An echo tool written with Berth's C++ library, one task, against nginx answering the same POST with fixed
// text.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { descendants, root } from '../../test/support/berth.mjs';
import { compare } from '../lib/load.mjs';
import { freePort, listening, start, stop } from '../lib/processes.mjs';
import { table } from '../lib/report.mjs';
import { berthTargets, heads, oneTask, row } from './stdio.mjs';

/// nginx with two workers that answers everything alike. `text` is the body.
export async function startNginx(text) {
  const port = await freePort();
  const folder = join(root, 'build/bench/nginx');
  mkdirSync(folder, { recursive: true });
  const configuration = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
  writeFileSync(configuration, `
    worker_processes 2; daemon off; pid ${folder}/pid; error_log ${folder}/error.log warn;
    events { worker_connections 4096; }
    http {
      access_log off; keepalive_requests 100000000; keepalive_timeout 300s; ${temporary}
      server {
        listen 127.0.0.1:${port} reuseport;
        location / { default_type application/json; return 200 '${text}'; }
      }
    }`);
  const child = start('/usr/sbin/nginx', ['-c', configuration, '-p', folder]);
  await listening(port);
  return { port, child, pids: () => [child.pid, ...descendants(child.pid)] };
}

export async function measure({ seconds, rounds, say }) {
  const answer = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello world"}],' +
    '"resultType":"complete"}}';
  const service = await oneTask('builtin: workspace');
  const nginx = await startNginx(answer);
  try {
    const still = {
      name: 'nginx, fixed answer', url: `http://127.0.0.1:${nginx.port}/mcp`, pids: nginx.pids,
      env: async () => ({ BENCH_ERA: 'modern' }),
    };
    const targets = [...await berthTargets(service), still];
    const amounts = { connections: [1, 16, 64], seconds, rounds };
    const rows = await compare(targets, { script: 'call.lua', ...amounts, say });
    return table(heads, rows.map(row));
  } finally {
    await Promise.all([service.kill(), stop(nginx.child)]);
  }
}
