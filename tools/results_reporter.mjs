// A node:test reporter that writes result lines: pass|fail|skip, suite, name. Suites and files do not count.

import { basename } from 'node:path';

export default async function* results(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite' || (data.file && data.name === data.file)) continue;
    const skipped = data.skip !== undefined && data.skip !== false;
    const outcome = type === 'test:fail' ? 'fail' : skipped ? 'skip' : 'pass';
    const reason = skipped && typeof data.skip === 'string' ? ` (${data.skip})` : '';
    yield `${outcome}\t${basename(data.file ?? 'e2e')}\t${data.name}${reason}\n`;
  }
}
