/**
 * What a cache keeps, against LRU: how many of the requests of a trace find their key. The traces are the same each time;
 * the hash's seed is not, which moves a share by about a thousandth.
 */
import { Cache, CpuSet, launch, Policy } from "../mod.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { cpusFor } from "./threads.ts";
import type { CachesResult, CachesTask } from "./workers/caches.ts";

const VALUE_BYTES = 100;
/** What an entry takes in a Cache: its header, a key of up to 8 bytes, and its value. */
const ENTRY_BYTES = 128;
const ENTRIES = 4096;
const REQUESTS = 400_000;
const KEYS = 40_000;
const THREAD_READS = 500_000;

/** Numbers from 0 to 1, the same ones each time (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ranks from 0, of which rank r comes in proportion to 1 / (r + 1)^exponent. */
function zipf(exponent: number, random: () => number): () => number {
  const sums = new Float64Array(KEYS);
  let sum = 0;
  for (let rank = 0; rank < KEYS; rank++) sums[rank] = sum += (rank + 1) ** -exponent;
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, KEYS - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** A trace: the keys that are asked for, in their order. */
export interface Trace {
  readonly name: string;
  keys(): Int32Array;
}

function traceOf(name: string, fill: (keys: Int32Array, random: () => number) => void): Trace {
  let made: Int32Array | undefined;
  return {
    name,
    keys(): Int32Array {
      if (made !== undefined) return made;
      made = new Int32Array(REQUESTS);
      fill(made, randomFrom(12345));
      return made;
    },
  };
}

function zipfTrace(exponent: number): Trace {
  return traceOf(`Zipf ${exponent.toFixed(1)}`, (keys, random) => {
    const next = zipf(exponent, random);
    for (let at = 0; at < REQUESTS; at++) keys[at] = next();
  });
}

/** All of them. */
export const TRACES: readonly Trace[] = [
  zipfTrace(0.9),
  zipfTrace(1),
  traceOf("Zipf 1.0, with scans", (keys, random) => {
    // One request in three belongs to a scan of keys that nobody asks for again.
    const next = zipf(1, random);
    let scanned = 10 * KEYS;
    for (let at = 0; at < REQUESTS; at++) {
      keys[at] = at % 30_000 >= 20_000 ? scanned++ : next();
    }
  }),
  traceOf("loops of 6,144 keys beside Zipf 1.0", (keys, random) => {
    const next = zipf(1, random);
    for (let at = 0; at < REQUESTS; at++) {
      keys[at] = at % 2 === 0 ? KEYS + (at >> 1) % 6144 : next();
    }
  }),
  traceOf("Zipf 1.0, which shifts", (keys, random) => {
    // The most popular keys are others after each tenth of the requests.
    const next = zipf(1, random);
    for (let at = 0; at < REQUESTS; at++) {
      const shift = Math.floor(at / (REQUESTS / 10)) * 1000;
      keys[at] = (next() + shift) % (2 * KEYS);
    }
  }),
];

const value: Uint8Array<ArrayBuffer> = new Uint8Array(VALUE_BYTES);

/** The share of a trace's requests that a `Cache` has. */
export function cacheShare(trace: Trace, entries: number): number {
  const options = { capacity: entries * ENTRY_BYTES, shards: 1, threads: 2 };
  const cache = Cache.create(new SharedArrayBuffer(Cache.bytes(options)), options);
  let hits = 0;
  for (const key of trace.keys()) {
    const name = `${key}`;
    if (cache.get(name) !== undefined) hits++;
    else cache.set(name, value);
  }
  return hits / REQUESTS;
}

/** The same of LRU with as many bytes. */
export function lruShare(trace: Trace, entries: number): number {
  const map = new Map<number, Uint8Array>();
  let hits = 0;
  for (const key of trace.keys()) {
    const found = map.get(key);
    if (found !== undefined) {
      hits++;
      map.delete(key);
      map.set(key, found);
      continue;
    }
    if (map.size >= entries) map.delete(map.keys().next().value as number);
    map.set(key, value);
  }
  return hits / REQUESTS;
}

/** Shares of requests that have to be computed: the less the better, as all costs are. */
function misses(trace: Trace, entries: number): Subject[] {
  const timed = (name: string, share: (trace: Trace, entries: number) => number): Subject => ({
    ...{ name, repeats: 1 },
    self: () => 1 - share(trace, entries),
  });
  return [timed("Cache", cacheShare), timed("LRU", lruShare)];
}

/** The same traces, in time: `get`, and `set` of what is not there. */
function times(trace: Trace): Subject[] {
  const timed = (name: string, run: (trace: Trace, entries: number) => number): Subject => ({
    ...{ name, repeats: 1 },
    self(): number {
      trace.keys();
      const start = performance.now();
      sink.value = run(trace, ENTRIES);
      return (performance.now() - start) * 1e6 / REQUESTS;
    },
  });
  return [timed("Cache", cacheShare), timed("LRU in a Map of one thread", lruShare)];
}

/** Reads by so many threads at once: nanoseconds a read, of all together. */
function together(threads: number): Subject {
  return {
    name: threads === 1 ? "one thread" : `${threads} threads`,
    repeats: 1,
    async self(): Promise<number> {
      const options = { capacity: "16 MiB" } as const;
      const cache = Cache.create(new SharedArrayBuffer(Cache.bytes(options)), options);
      for (let key = 0; key < KEYS; key++) cache.set(`/pages/${key}`, value);
      const cpus = cpusFor(threads);
      const gate = new Int32Array(new SharedArrayBuffer(8));
      gate[1] = threads;
      const task = { cache, keys: KEYS, reads: THREAD_READS, gate } satisfies CachesTask;
      const running = cpus.map((cpu) =>
        launch<CachesResult>(new URL("./workers/caches.ts", import.meta.url), {
          policy: Policy.bindCpus(CpuSet.of(cpu)),
          args: task,
        })
      );
      const results = await Promise.all(running.map((thread) => thread.join()));
      if (!results.every(({ cpu }, index) => cpu === cpus[index])) return NaN;
      return results.reduce((sum, { cost }) => sum + cost, 0) / threads ** 2;
    },
  };
}

/** What is compared. */
export function comparisons(): Comparison[] {
  return [
    ...TRACES.flatMap((trace): Comparison[] =>
      [ENTRIES, ENTRIES / 4].map((entries) => ({
        name: `requests that miss, ${trace.name}, room for ${entries}`,
        unit: "share",
        subjects: misses(trace, entries),
      }))
    ),
    { name: "a request, Zipf 1.0", subjects: times(TRACES[1] as Trace) },
    { name: "reads at once", subjects: [together(2), together(1)] },
  ];
}

/**
 * The shares that hit, for the documentation.
 *
 * @returns A table.
 */
export function table(): string {
  const shown = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const rows = TRACES.flatMap((trace) =>
    [ENTRIES, ENTRIES / 4].map((entries) =>
      [trace.name, entries, shown(cacheShare(trace, entries)), shown(lruShare(trace, entries))]
        .join(" | ")
    )
  );
  return ["trace | room for entries | Cache | LRU", ...rows].join("\n");
}
