// What `./run boundaries` does at length, for some exchanges: peers break off while the program that has ASan
// and UBSan in it (preset dev) serves them.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { execute, root } from '../support/berth.mjs';

const sanitized = join(root, 'build/dev/src/app/berth');
const skip = !existsSync(sanitized) && 'build/dev has no berth';

test('peers that break off leave no report of a sanitizer', { skip }, async (t) => {
  const trial = [join(root, 'test/trials/run.mjs'), 'boundaries', '6'];
  const env = { ...process.env, BERTH: sanitized };
  const { code, out, err } = await execute(process.execPath, trial, { env, timeout: 120_000 });
  t.diagnostic(out.trim().split('\n').at(-2) ?? '');
  assert.equal(code, 0, out + err);
});
