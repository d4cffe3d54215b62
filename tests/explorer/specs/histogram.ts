import { type Buckets, HistogramCore } from "../../../lib/sync/counters/histogram_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const FILE = "lib/sync/counters/histogram_core.ts";
const SHAPE: Shape = { threads: 2, domains: 1 };
const BUCKETS: Buckets = { precision: 1, bits: 3 };
const COUNT = 6;
const BUCKET = 3;
const HALF = 2 ** 31;
const LOW = 2 * LINE_WORDS + BUCKET;
const HIGH = LOW + LINE_WORDS;
const SIZE = HistogramCore.words(SHAPE, BUCKETS);
const NAMES = new Map([[0, "used"], [LINE_WORDS, "carried"], [LOW, "low"], [HIGH, "high"]]);

function describe(word: number): string {
  return NAMES.get(word) ?? `words[${word}]`;
}

function countOf(words: Int32Array): number {
  const counts = new Float64Array(COUNT);
  new HistogramCore(words, SHAPE, BUCKETS).read(counts);
  return counts[BUCKET] as number;
}

/**
 * A count that crosses a multiple of 2^31 while somebody reads it.
 *
 * @param name Of the case.
 * @param halves Which multiple.
 * @param more How far.
 * @param carried Whether a thread of the slot was killed there before.
 */
function crossing(name: string, halves: number, more: Partial<Case>, carried = false): Case {
  return {
    name,
    threads: 2,
    words: SIZE,
    preemptions: 3,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      const start = halves * HALF - (carried ? 1 : 2);
      words[0] = 1;
      words[LOW] = start | 0;
      words[HIGH] = carried ? halves : halves - 1;
      words[LINE_WORDS] = halves > 1 || carried ? 1 : 0;
      let successor = false;
      return {
        threads: [
          () => {
            const histogram = new HistogramCore(words, SHAPE, BUCKETS);
            for (let round = 0; round < 4; round++) histogram.record(world.waiter(0), BUCKET);
          },
          () => {
            let seen = start;
            for (let round = 0; round < 2; round++) {
              const count = countOf(words);
              world.check(count >= seen && count <= start + 4, `counted ${count}, after ${seen}`);
              seen = count;
            }
            if (more.kills === undefined || world.waiter(1).alive(1)) return;
            successor = true;
            const histogram = new HistogramCore(words, SHAPE, BUCKETS);
            for (let round = 0; round < 3; round++) {
              histogram.record({ slot: 0 } as Waiter, BUCKET);
            }
            world.check(countOf(words) >= seen + 3, "the next thread's counts are lost");
          },
        ],
        end: () => {
          const count = countOf(words);
          if (!world.killed(0)) world.check(count === start + 4, `counted ${count}`);
          world.check(count <= start + 4 + (successor ? 3 : 0), `counted ${count}`);
        },
      };
    },
  };
}

/** Two threads, a shard each. */
const TWO: Case = {
  name: "two shards",
  threads: 2,
  words: SIZE,
  preemptions: 3,
  describe,
  setup(world: World): Program {
    const { words } = world;
    const recorder = (index: number) => (): void => {
      const histogram = new HistogramCore(words, SHAPE, BUCKETS);
      histogram.record(world.waiter(index), BUCKET);
      histogram.record(world.waiter(index), 1000);
    };
    return {
      threads: [recorder(0), recorder(1)],
      end: () => {
        const counts = new Float64Array(COUNT);
        new HistogramCore(words, SHAPE, BUCKETS).read(counts);
        world.check(counts.join() === "0,0,0,2,0,2", counts.join());
      },
    };
  },
};

/** Histograms: counts that are never torn. */
export const specs: readonly Spec[] = [{
  name: "Histogram",
  cases: [
    crossing("first carry", 1, {}),
    crossing("second carry", 2, {}),
    crossing("a slot's next thread, first carry", 1, { kills: 1, victim: 0 }),
    crossing("a slot's next thread, second carry", 2, { kills: 1, victim: 0 }),
    crossing("killed once more", 1, { kills: 1, victim: 0 }, true),
    TWO,
  ],
  mutants: [
    {
      file: FILE,
      name: "does not look at high again",
      find: "if (again === high) return",
      replace: "return",
    },
    {
      file: FILE,
      name: "carries what was carried already",
      find: "if (((low - (halves << 31)) | 0) < 0) return;",
      replace: "",
    },
    {
      file: FILE,
      name: "carries afterwards",
      find:
        "if ((low & (HALF - 1)) === 0) this.#carry(shard, at + this.#high, before);\n    Atomics.store(words, at, low);",
      replace:
        "Atomics.store(words, at, low);\n    if ((low & (HALF - 1)) === 0) this.#carry(shard, at + this.#high, before);",
    },
    {
      file: "lib/wait/slot_words.ts",
      name: "used is set back",
      find: "const seen = Atomics.compareExchange(words, at, found, least);",
      replace: "const seen = found;\n    Atomics.store(words, at, least);",
    },
  ],
}];
