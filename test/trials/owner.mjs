// Owns, outside node:test, what a test would own: `after` runs in reverse order at end().

export class Owner {
  #ends = [];

  after(end) { this.#ends.push(end); }

  async end() {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

/// Runs `work` with an owner, ends everything it started, also on Ctrl-C, and gives what it gave.
export async function owned(work) {
  const owner = new Owner();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => owner.end().finally(() => process.exit(130)));
  }
  try {
    return await work(owner);
  } finally {
    await owner.end();
  }
}
