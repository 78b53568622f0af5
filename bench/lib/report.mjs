// Markdown tables, and their place in BENCHMARKS.md: each section lies between two comments and is replaced
// whole.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';

export function table(heads, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

export const number = (value, digits = 0) => (Number.isFinite(value)
  ? value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }) : '–');

const version = (command, ...args) => {
  try {
    const out = execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
    return out.split('\n')[0].trim();
  } catch {
    return `${command}: not there`;
  }
};

export function machine() {
  const system = /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  return [
    `- ${os.cpus()[0].model}, ${os.cpus().length} processors, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ` +
      `${system}, Linux ${os.release()}`,
    `- Node ${process.version}; ${version('haproxy', '-v').split(' ').slice(0, 3).join(' ')}; wrk 4.1`,
    `- measured on ${new Date().toISOString().slice(0, 10)}`,
  ].join('\n');
}

/// Puts `text` between the markers of `section`, at the end when there are none yet.
export function writeSection(file, section, text) {
  const [open, close] = [`<!-- measured: ${section} -->`, `<!-- end: ${section} -->`];
  const old = existsSync(file) ? readFileSync(file, 'utf8') : '# Benchmarks\n';
  const block = `${open}\n\n${text}\n\n${close}`;
  const at = old.indexOf(open);
  const next = at < 0 ? `${old.trimEnd()}\n\n${block}\n`
    : old.slice(0, at) + block + old.slice(old.indexOf(close) + close.length);
  writeFileSync(file, next);
}
