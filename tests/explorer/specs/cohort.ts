import type { Shape } from "../../../lib/shared/shape.ts";
import { CohortCore, PASSES as USUAL_PASSES } from "../../../lib/sync/locks/cohort_core.ts";
import { McsCore } from "../../../lib/sync/locks/mcs_core.ts";
import { TicketCore } from "../../../lib/sync/locks/ticket_core.ts";
import { abandonCase } from "../abandon_spec.ts";
import { trafficCase } from "../lock_spec.ts";
import { killCase, LOOKS, queueSpec } from "../queue_spec.ts";
import type { Spec } from "../spec.ts";

/** Few, so that the explorer gets beyond it; the usual count in walks through four domains. */
const PASSES = 1;
const source = "lib/sync/locks/cohort_core.ts";

/** The cohort's own words, the global lock's, and those of each local one. */
function parts(shape: Shape): { own: number; global: number; local: number } {
  const { domains } = shape;
  return {
    own: CohortCore.words(domains),
    global: TicketCore.words({ threads: domains, domains }),
    local: McsCore.words(shape),
  };
}

const options = {
  make(words: Int32Array, shape: Shape): CohortCore {
    const { domains } = shape;
    const { own, global, local } = parts(shape);
    const start = own + global;
    const locals: McsCore[] = [];
    for (let domain = 0; domain < domains; domain++) {
      const at = start + domain * local;
      locals.push(new McsCore(words.subarray(at, at + local), shape));
    }
    const ticket = new TicketCore(words.subarray(own, start), { threads: domains, domains });
    return new CohortCore(words.subarray(0, own), ticket, locals, domains < 4 ? PASSES : undefined);
  },
  words(shape: Shape): number {
    const { own, global, local } = parts(shape);
    return own + global + local * shape.domains;
  },
};

/** Lock cohorting with a ticket lock for all and an MCS lock for each domain, also with threads that die. */
export const specs: readonly Spec[] = [queueSpec({
  name: "CohortCore",
  source,
  ...options,
  // The next ticket of the global lock.
  doorway: [parts({ threads: 3, domains: 2 }).own],
  cases: [
    { name: "awaiting", threads: 3, acquisitions: 2, preemptions: 2, domains: [0, 0, 1] },
    { name: "sleeping", threads: 3, acquisitions: 2, preemptions: 2, spins: 0, domains: [0, 0, 1] },
    {
      name: "one domain",
      threads: 3,
      acquisitions: 2,
      preemptions: 2,
      spins: 0,
      domains: [0, 0, 0],
    },
    { name: "four", threads: 4, acquisitions: 1, preemptions: 2, spins: 0, domains: [0, 0, 1, 1] },
    {
      name: "overtaking",
      threads: 3,
      acquisitions: 3,
      preemptions: 1,
      spins: 0,
      domains: [0, 0, 1],
      bypass: PASSES,
    },
    {
      name: "waking up",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      spins: 1,
      spurious: 1,
      domains: [0, 0, 1],
    },
    {
      name: "giving up",
      threads: 3,
      acquisitions: 2,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      timeouts: 1,
      domains: [0, 0, 1],
    },
    {
      name: "giving up in one domain",
      threads: 3,
      acquisitions: 2,
      preemptions: 1,
      spins: 0,
      timeouts: 1,
      domains: [0, 0, 0],
    },
    {
      name: "four giving up",
      threads: 4,
      acquisitions: 1,
      preemptions: 1,
      spins: 0,
      timeouts: 2,
      domains: [0, 0, 1, 1],
    },
    {
      name: "trying",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      spins: 0,
      timeouts: 1,
      tries: 2,
      domains: [0, 0, 1],
    },
    {
      name: "four domains",
      threads: 7,
      acquisitions: 1,
      preemptions: 0,
      spins: 0,
      domains: [0, 0, 1, 1, 2, 2, 3],
    },
    // By three other domains, for each of the seven of its own that may be before it, and once more.
    trafficCase({ across: [0, 0.05], bypass: 8 * 3 * (USUAL_PASSES + 1) }),
  ],
  more: [
    abandonCase({ ...options, preemptions: 2 }),
    killCase({
      ...options,
      name: "dying",
      slices: LOOKS,
      threads: 3,
      preemptions: 1,
      spins: 0,
      domains: [0, 0, 1],
    }),
    killCase({
      ...options,
      name: "dying and giving up",
      slices: LOOKS,
      threads: 3,
      preemptions: 1,
      spins: 0,
      timeouts: 1,
      domains: [0, 0, 1],
    }),
    killCase({
      ...options,
      name: "dying at any moment",
      slices: LOOKS,
      threads: 2,
      acquisitions: 2,
      preemptions: 2,
      spins: 0,
      domains: [0, 0],
    }),
    killCase({
      ...options,
      name: "a slot's next thread",
      slices: LOOKS,
      threads: 3,
      slots: [0, 1, 0],
      acquisitions: 2,
      preemptions: 1,
      spins: 0,
      victim: 0,
      domains: [0, 1, 0],
    }),
  ],
  mutants: [
    {
      name: "abandons the global lock only",
      find: "return this.#localOf(domain).abandon(me, dead);",
      replace: "return true;",
    },
    {
      name: "abandons the local lock only",
      find: "    this.#global.abandon(me, dead, domain);\n",
      replace: "",
    },
    {
      file: "lib/sync/locks/cohort_core.ts",
      name: "passes it on once more",
      find: "if (passes < this.#passes)",
      replace: "if (passes <= this.#passes)",
    },
    {
      name: "passes to whoever seems to wait",
      file: "lib/sync/locks/mcs_core.ts",
      find: "      const heir = grant(words, me, node);\n      if (heir === 0) continue;\n",
      replace:
        "      const heir = Atomics.load(words, node + STATE) & ID_MASK;\n      grant(words, me, node);\n",
    },
    {
      name: "gives the local lock back before the global one",
      find: "    this.#global.release(me, domain);\n    local.release(me);\n    return true;",
      replace: "    local.release(me);\n    this.#global.release(me, domain);\n    return true;",
    },
    {
      name: "leaves the next one to think that the domain has the lock",
      find: "    words[line + OWNED] = 0;\n",
      replace: "",
    },
    {
      name: "keeps the local lock when it gives up on the global one",
      find:
        "return this.#own(domain);\n    local.release(me);\n    return false;\n  }\n\n  release",
      replace: "return this.#own(domain);\n    return false;\n  }\n\n  release",
    },
    {
      name: "does not take over what it was passed",
      find: "    this.#global.takeOver(me, domain);\n",
      replace: "",
    },
    {
      name: "says only afterwards that the domain does not have it any more",
      find:
        "    words[line + OWNED] = 0;\n    this.#global.release(me, domain);\n    local.release(me);",
      replace:
        "    this.#global.release(me, domain);\n    local.release(me);\n    words[line + OWNED] = 0;",
    },
    {
      name: "forgets to say who was passed the lock",
      find: "        this.#global.bequeath(me, heir, domain);\n",
      replace: "",
    },
    {
      name: "spoils what it passed on",
      file: "lib/sync/locks/mcs_core.ts",
      find: "      this.#freeBetween(me, first, node);\n      return heir;",
      replace: "      return heir;",
    },
  ],
})];
