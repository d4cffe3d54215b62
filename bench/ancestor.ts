/**
 * Beside the C ancestor: what its structures took on another machine, in nanoseconds, scaled by what the same pieces of C
 * take on this one. Each is measured in the same rounds as what it is scaled by.
 */
import { section } from "../lib/cli/topo.ts";
import { Deque, HashMap, OrderedMap } from "../mod.ts";
import { comparisons as channels } from "./channels.ts";
import { type Comparison, type Row, sink, type Subject } from "./harness.ts";
import { comparisons as maps } from "./maps.ts";
import { mixed } from "./mixed.ts";
import { benchLibrary, C_KIND, inC } from "./native.ts";
import { comparisons as queues } from "./queues.ts";
import { between, comparisons as ringComparisons, overRings } from "./rings.ts";
import { cpusFor, threadsInC } from "./threads.ts";

const C_COUNT = 400_000;
const C_ROUND_TRIPS = 200_000;
const ALIVE = 1000;
const KEYS = 100_000;
const READS = 1000;
const STEALS = 1000;
const MESSAGES = 4_000_000;
const TRIPS = 200_000;

/** Pieces of C that say how fast a machine is, and what each took on the ancestor's. */
const CALIBRATION = {
  "C line ping-pong": 62,
  "C malloc+free, 64 B": 8.6,
  "C malloc+free, 1024 B": 8.8,
  [`C malloc+free, 1024 B, ${ALIVE} alive`]: 37,
  "C pthread_mutex": 6.9,
  "C pthread_mutex, 2 threads": 25,
} as const;

type Piece = keyof typeof CALIBRATION;
const BETWEEN: readonly Piece[] = ["C line ping-pong"];
const ALONE: readonly Piece[] = ["C malloc+free, 64 B", "C pthread_mutex"];
/** What also waits for memory. */
const IN_MEMORY: readonly Piece[] = [...ALONE, `C malloc+free, 1024 B, ${ALIVE} alive`];

function pieces(): Record<string, Subject> {
  const c = benchLibrary();
  const cpus = Int32Array.from(cpusFor(2));
  const pair = (bytes: number): Subject =>
    inC(`C malloc+free, ${bytes} B`, (out) => c.bench_malloc_pair(C_COUNT, bytes, out));
  const all = [
    inC("C line ping-pong", (out) => c.bench_ping_pong(C_ROUND_TRIPS, cpus, out)),
    pair(64),
    pair(1024),
    inC(
      `C malloc+free, 1024 B, ${ALIVE} alive`,
      (out) => c.bench_malloc_alive(C_COUNT, 1024, ALIVE, out),
    ),
    inC("C pthread_mutex", (out) => c.bench_lock_pair(C_KIND.pthreadMutex, C_COUNT, out)),
    threadsInC("pthread_mutex", C_KIND.pthreadMutex, 2),
  ];
  return Object.fromEntries(all.map((subject) => [subject.name, subject]));
}

/** Ours, as another suite measures it. */
function subjectOf(comparisons: readonly Comparison[], name: string): Subject {
  const found = comparisons.find((comparison) => comparison.name === name)?.subjects[0];
  if (found === undefined) throw new Error(`there is no comparison "${name}"`);
  return found;
}

const NUMBERS = { capacity: KEYS, key: "f64", value: "f64" } as const;
const keyOf = (index: number): number => Math.imul(index, 0x9e3779b1) >>> 0;

interface MapLike {
  get(key: number): number | undefined;
  set(key: number, value: number): unknown;
}

function newMap(kind: "HashMap" | "OrderedMap"): MapLike {
  return kind === "HashMap"
    ? HashMap.create(new SharedArrayBuffer(HashMap.bytes(NUMBERS)), NUMBERS)
    : OrderedMap.create(new SharedArrayBuffer(OrderedMap.bytes(NUMBERS)), NUMBERS);
}

/** All keys, which come in no order. The map is made before. */
function puts(kind: "HashMap" | "OrderedMap"): Subject {
  return {
    ...{ name: `${kind}.set`, repeats: 1 },
    self(): number {
      const map = newMap(kind);
      const start = performance.now();
      for (let index = 0; index < KEYS; index++) map.set(keyOf(index), index);
      sink.value = map;
      return (performance.now() - start) * 1e6 / KEYS;
    },
  };
}

/** Keys of which all are there, or none. */
function gets(kind: "HashMap" | "OrderedMap", hit: boolean): Subject {
  let map: MapLike | undefined;
  let from = 0;
  const first = hit ? 0 : KEYS;
  return {
    name: `${kind}.get`,
    operations: READS,
    batch(): void {
      if (map === undefined) {
        map = newMap(kind);
        for (let index = 0; index < KEYS; index++) map.set(keyOf(index), index);
      }
      let sum = 0;
      for (let index = 0; index < READS; index++) {
        sum += map.get(keyOf(first + mixed(from++, KEYS))) ?? 0;
      }
      sink.value = sum;
    },
  };
}

/** Only the stealing is timed. */
function steals(): Subject {
  const deque = Deque.create(new SharedArrayBuffer(Deque.bytes()));
  return {
    name: "Deque.stealWord",
    repeats: 200,
    self(): number {
      for (let index = 0; index < STEALS; index++) deque.pushWord(index);
      let sum = 0;
      const start = performance.now();
      for (let index = 0; index < STEALS; index++) sum += deque.stealWord() as number;
      const cost = (performance.now() - start) * 1e6 / STEALS;
      sink.value = sum;
      return cost;
    },
  };
}

/** What the ancestor has, in nanoseconds; ours; and what its figure is scaled by. */
interface Beside {
  readonly ns: number;
  readonly ours: () => Subject;
  readonly by: readonly Piece[];
}

const stream = { count: MESSAGES, batch: 1, echo: false };
const trips = { count: TRIPS, batch: 1, echo: true };

function rings(task: typeof stream): () => Subject {
  return () =>
    between("SpscRing", task, () => {
      const way = overRings();
      return { ways: [way, way] };
    });
}

const FIGURES: Readonly<Record<string, Beside>> = {
  "a record put into a ring and taken out": {
    ...{ ns: 6.1, by: ALONE },
    ours: () => subjectOf(ringComparisons(), "a record put in and taken out, in one thread"),
  },
  "a record through a ring to another thread": { ns: 10.9, by: BETWEEN, ours: rings(stream) },
  "a round trip through two rings": { ns: 139, by: BETWEEN, ours: rings(trips) },
  "a message to another thread's inbox and back": {
    ...{ ns: 560, by: BETWEEN },
    ours: () => subjectOf(channels(), "a round trip of 64 bytes, both awake"),
  },
  "a record pushed to a deque and popped": {
    ...{ ns: 6.4, by: ALONE },
    ours: () => subjectOf(queues(), "a record pushed and popped"),
  },
  "a record stolen": { ns: 5, by: ALONE, ours: steals },
  "a new key of a hash map, 10^5": { ns: 49, by: IN_MEMORY, ours: () => puts("HashMap") },
  // It took 78 to 135.
  "a key that a hash map has, 10^5": { ns: 78, by: IN_MEMORY, ours: () => gets("HashMap", true) },
  "a key that a hash map has not, 10^5": {
    ...{ ns: 61, by: IN_MEMORY },
    ours: () => gets("HashMap", false),
  },
  "a key of a hash map, by two threads": {
    ...{ ns: 242, by: IN_MEMORY },
    ours: () => subjectOf(maps(), "reads at once, 10^5 keys"),
  },
  "a key of an ordered map, 10^5": {
    ...{ ns: 1413, by: IN_MEMORY },
    ours: () => gets("OrderedMap", true),
  },
  "a new key of an ordered map, 10^5": {
    ...{ ns: 9990, by: IN_MEMORY },
    ours: () => puts("OrderedMap"),
  },
};

/** What is compared. */
export function comparisons(): Comparison[] {
  const c = pieces();
  return [
    { name: "calibration", subjects: Object.keys(CALIBRATION).map((name) => c[name] as Subject) },
    ...Object.entries(FIGURES).map(([name, { ours, by }]) => ({
      name,
      subjects: [ours(), ...by.map((piece) => c[piece] as Subject)],
    })),
  ];
}

const SUBJECT = "numakit";

/**
 * What the ancestor would take here, as rows.
 *
 * @param rows All rows of the suite.
 * @returns A row for each figure, whose ratio is above 1 where numakit is ahead.
 */
export function ancestorRows(rows: readonly Row[]): Row[] {
  return Object.entries(FIGURES).flatMap(([name, { ns, by }]) => {
    const own = rows.filter((row) => row.name === name);
    const ours = own.find(({ opponent }) => opponent !== undefined);
    if (ours === undefined) return [];
    const scales = by.map((piece) => {
      const here = own.find(({ subject, opponent }) => subject === piece && opponent === undefined);
      return (here?.median ?? NaN) / CALIBRATION[piece];
    });
    const scale = scales.reduce((product, one) => product * one, 1) ** (1 / scales.length);
    return [{
      ...{ ...ours, subject: SUBJECT, opponent: "the C ancestor, scaled" },
      ratio: ns * scale / ours.median,
    }];
  });
}

/**
 * The same as a table.
 *
 * @param rows All rows of the suite.
 * @returns Lines of text.
 */
export function ancestorTable(rows: readonly Row[]): string[] {
  const shown = (value: number): string => value.toFixed(1);
  const lines = ancestorRows(rows).map(({ name, median, ratio = NaN }) => [
    ...[name, shown(median), shown(FIGURES[name]?.ns ?? NaN), shown(ratio * median)],
    `${ratio.toFixed(2)} times`,
  ]);
  const head = ["", "numakit, ns", "C ancestor, ns", "scaled to this machine", "ahead"];
  return [section("beside the C ancestor", head, lines)];
}
