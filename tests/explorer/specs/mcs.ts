import { McsCore } from "../../../lib/sync/locks/mcs_core.ts";
import { trafficCase } from "../lock_spec.ts";
import { QUEUE_MUTANTS } from "../queue_mutants.ts";
import { describeQueue, giveUpNode, queueCases, type QueueLock, queueSpec } from "../queue_spec.ts";
import type { Spec } from "../spec.ts";

const TAIL = 0;
const lock: QueueLock = {
  make: (words, shape) => new McsCore(words, shape),
  words: McsCore.words,
  describe: describeQueue(["tail", "broken"], ["state", "next", "sleeper"]),
  giveUp: giveUpNode,
};

/** MCS, also with threads that die. */
export const specs: readonly Spec[] = [queueSpec({
  name: "McsCore",
  source: "lib/sync/locks/mcs_core.ts",
  ...lock,
  fifo: [TAIL],
  cases: [
    { name: "awaiting", threads: 3, acquisitions: 2, preemptions: 2, fullPreemptions: 3 },
    { name: "sleeping", threads: 3, acquisitions: 2, preemptions: 2, spins: 0, fullPreemptions: 3 },
    {
      name: "two, sleeping",
      threads: 2,
      acquisitions: 3,
      preemptions: 3,
      fullPreemptions: 4,
      spins: 0,
    },
    { name: "spinning once", threads: 3, acquisitions: 1, preemptions: 3, spins: 1, spurious: 1 },
    {
      name: "giving up",
      threads: 3,
      acquisitions: 2,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      timeouts: 1,
    },
    { name: "two giving up", threads: 3, acquisitions: 2, preemptions: 1, spins: 0, timeouts: 2 },
    {
      name: "trying",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      spins: 0,
      timeouts: 1,
      tries: 2,
    },
    {
      name: "four domains",
      threads: 7,
      acquisitions: 1,
      preemptions: 0,
      spins: 0,
      domains: [0, 0, 1, 1, 2, 2, 3],
    },
    trafficCase({ across: [0.65, 0.85], bypass: 0 }),
  ],
  more: queueCases(lock),
  mutants: [
    ...QUEUE_MUTANTS,
    {
      name: "does not wait for who is about to link",
      find: "if (next === 0) {\n          if (node !== first) break;",
      replace:
        "if (next === 0) {\n          if (node !== first) break;\n          Atomics.store(words, TAIL, 0);",
    },
  ],
})];
