// Long trials of the whole program:   node run.mjs chaos|abuse|abandon|boundaries [amount]
// Prints what is done and what was found; exit code 1 where something did not hold.

import { abandon } from './abandon.mjs';
import { abuse } from './abuse.mjs';
import { boundaries } from './boundaries.mjs';
import { chaos } from './chaos.mjs';
import { owned } from './owner.mjs';

const trials = {
  chaos: (owner, seconds = 120) => chaos(owner, { seconds, clients: 32, say }),
  abuse: (owner, seconds = 300) => abuse(owner, { seconds, say }),
  abandon: (owner, sessions = 1_000_000) => abandon(owner, { sessions, say }),
  boundaries: (owner, exchanges = 200) => boundaries(owner, { exchanges, say }),
};

const began = performance.now();
function say(text) {
  console.log(`[${((performance.now() - began) / 1000).toFixed(0).padStart(3)} s] ${text}`);
}

const [name, amount] = process.argv.slice(2);
const { problems, ...figures } = await owned((owner) => trials[name](owner, amount && Number(amount)));
say(JSON.stringify(figures));
for (const problem of problems.slice(0, 20)) say(problem);
say(problems.length === 0 ? 'everything held' : `${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
