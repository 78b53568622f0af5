// Six servers of the farm (`./run farm` has thirty): under `berth up` each gives the answers that it gives
// alone.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compare } from '../farm/compare.mjs';
import { servers } from '../farm/servers.mjs';
import { packages, temporaryFolder } from '../support/berth.mjs';

const six = [
  'server-everything', 'server-filesystem', 'server-memory', 'server-sequential-thinking', 'context7-mcp',
  'calc-mcp',
];

for (const name of six) {
  test(`${name} answers as it does alone`, async (t) => {
    const server = servers.find((one) => one.package.endsWith(`/${name}`));
    const { problems, tools } = await compare(t, server, packages, join(temporaryFolder(t, 'farm'), 'state'));
    assert.deepEqual(problems, []);
    assert.ok(tools > 0);
  });
}
