/**
 * What a hash map costs: against a `Map` of one thread, and against asking its owner.
 */
import { Worker } from "node:worker_threads";
import { CpuSet, HashMap, launch, Policy } from "../mod.ts";
import { SharedMap } from "./shared_map.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { mixed } from "./mixed.ts";
import { cpusFor } from "./threads.ts";
import type { MapsResult, MapsTask } from "./workers/maps.ts";

const SIZES = [100_000, 10_000_000];
const READS = 1000;
/** The smallest map that there can be. */
const LEAST = 8;
const BATCH = 64;
/** What is asked of the owner of a Map in one round. */
const QUESTIONS = 500;
const THREAD_READS = 2_000_000;
/** Of a key that is a text; and of a value, which sharedmap keeps as text. */
const TEXT_BYTES = 20;
const VALUE_CHARACTERS = 8;

type Numbers = HashMap<number, number>;

/** Both maps with the same keys, made when they are first needed. */
class Maps {
  readonly keys: number;
  #ours: Numbers | undefined;
  #theirs: Map<number, number> | undefined;

  constructor(keys: number) {
    this.keys = keys;
  }

  get ours(): Numbers {
    if (this.#ours !== undefined) return this.#ours;
    const map = emptyMap(this.keys);
    for (let key = 0; key < this.keys; key++) map.set(key, key);
    return this.#ours = map;
  }

  get theirs(): Map<number, number> {
    if (this.#theirs !== undefined) return this.#theirs;
    const map = new Map<number, number>();
    for (let key = 0; key < this.keys; key++) map.set(key, key);
    return this.#theirs = map;
  }
}

function emptyMap(capacity: number): Numbers {
  const options = { capacity, key: "u32", value: "u32" } as const;
  return HashMap.create(new SharedArrayBuffer(HashMap.bytes(options)), options);
}

const named = (keys: number): string => `${keys.toExponential().replace("1e+", "10^")} keys`;

/** The loops are written out, as a user's would be. */
function reads(maps: Maps): Subject[] {
  let from = 0;
  return [
    {
      name: "HashMap.get",
      operations: READS,
      batch(): void {
        const { ours, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) sum += ours.get(mixed(from++, keys)) as number;
        sink.value = sum;
      },
    },
    {
      name: "Map.get",
      operations: READS,
      batch(): void {
        const { theirs, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += theirs.get(mixed(from++, keys)) as number;
        }
        sink.value = sum;
      },
    },
  ];
}

function batches(maps: Maps): Subject[] {
  let from = 0;
  const keys = new Uint32Array(BATCH);
  const values = new Uint32Array(BATCH);
  const [, single] = reads(maps) as [Subject, Subject];
  return [
    {
      name: `HashMap.getMany, ${BATCH} at a time`,
      operations: READS - READS % BATCH,
      batch(): void {
        const { ours } = maps;
        let sum = 0;
        for (let done = 0; done + BATCH <= READS; done += BATCH) {
          for (let index = 0; index < BATCH; index++) keys[index] = mixed(from++, maps.keys);
          sum += ours.getMany(keys, values);
          for (let index = 0; index < BATCH; index++) sum += values[index] as number;
        }
        sink.value = sum;
      },
    },
    single,
  ];
}

/** Other values for keys that are there. */
function writes(maps: Maps): Subject[] {
  let from = 0;
  return [
    {
      name: "HashMap.set",
      operations: READS,
      batch(): void {
        const { ours, keys } = maps;
        for (let index = 0; index < READS; index++) ours.set(mixed(from++, keys), index);
        sink.value = ours;
      },
    },
    {
      name: "Map.set",
      operations: READS,
      batch(): void {
        const { theirs, keys } = maps;
        for (let index = 0; index < READS; index++) theirs.set(mixed(from++, keys), index);
        sink.value = theirs;
      },
    },
  ];
}

/** From nothing to all keys. */
function fills(keys: number): Subject[] {
  const timed = (name: string, fill: () => unknown): Subject => ({
    name,
    repeats: 1,
    self(): number {
      const start = performance.now();
      sink.value = fill();
      return (performance.now() - start) * 1e6 / keys;
    },
  });
  return [
    timed("HashMap", () => {
      const map = emptyMap(keys);
      for (let key = 0; key < keys; key++) map.set(key, key);
      return map;
    }),
    timed("Map", () => {
      const map = new Map<number, number>();
      for (let key = 0; key < keys; key++) map.set(key, key);
      return map;
    }),
  ];
}

/** With keys that are texts: against a map that threads share, too, and one that they do not. */
function texts(keys: number): Subject[] {
  const names = Array.from({ length: keys }, (_, index) => `/pages/${index}`);
  const makeOurs = (): HashMap<string, number> => {
    const options = { capacity: keys, key: { text: TEXT_BYTES }, value: "u32" } as const;
    return HashMap.create(new SharedArrayBuffer(HashMap.bytes(options)), options);
  };
  const makeShared = (): SharedMap => new SharedMap(2 * keys, TEXT_BYTES, VALUE_CHARACTERS);
  let ours: ReturnType<typeof makeOurs> | undefined;
  let shared: SharedMap | undefined;
  let plain: Map<string, number> | undefined;
  const filled = <Type extends { set(key: string, value: number): unknown }>(map: Type): Type => {
    for (const [index, name] of names.entries()) map.set(name, index);
    return map;
  };
  let from = 0;
  return [
    {
      name: "HashMap.get",
      operations: READS,
      batch(): void {
        ours ??= filled(makeOurs());
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += ours.get(names[mixed(from++, keys)] as string) as number;
        }
        sink.value = sum;
      },
    },
    {
      name: "sharedmap's get",
      operations: READS,
      batch(): void {
        shared ??= filled(makeShared());
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += Number(shared.get(names[mixed(from++, keys)] as string));
        }
        sink.value = sum;
      },
    },
    {
      name: "Map.get",
      operations: READS,
      batch(): void {
        plain ??= filled(new Map<string, number>());
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += plain.get(names[mixed(from++, keys)] as string) as number;
        }
        sink.value = sum;
      },
    },
  ];
}

/** What threads do at once. */
type Doing = Pick<MapsTask, "what" | "count"> & { readonly map?: Numbers; readonly keys?: number };

/** So many threads at once: nanoseconds for each thing done, of all together. */
function together(threads: number, doing: () => Doing): Subject {
  return {
    name: threads === 1 ? "one thread" : `${threads} threads`,
    repeats: 1,
    async self(): Promise<number> {
      const cpus = cpusFor(threads);
      const gate = new Int32Array(new SharedArrayBuffer(8));
      gate[1] = threads;
      const task = { map: emptyMap(LEAST), keys: LEAST, ...doing(), gate } satisfies MapsTask;
      const running = cpus.map((cpu) =>
        launch<MapsResult>(new URL("./workers/maps.ts", import.meta.url), {
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

/**
 * Two threads beside one: how much more they get done with a map, and at most. Two CPUs can be one core's, which gives both
 * together less than twice what it gives one; and they share a cache, and the way to memory.
 */
function atOnce(maps: Maps): Comparison[] {
  const beside = (name: string, doing: () => Doing): Comparison => ({
    name,
    subjects: [together(2, doing), together(1, doing)],
  });
  const size = named(maps.keys);
  return [
    beside(
      `reads at once, ${size}`,
      () => ({ what: "map", count: THREAD_READS, map: maps.ours, keys: maps.keys }),
    ),
    beside(
      `calibration: reads at once of an array as large as that map, ${size}`,
      () => ({ what: "array", count: 4 * THREAD_READS, map: maps.ours, keys: maps.keys }),
    ),
    beside("calibration: arithmetic at once", () => ({ what: "steps", count: 50_000_000 })),
  ];
}

/** A value that another thread has in a Map of its own. */
function asked(keys: number): Subject {
  return {
    name: "a Map's owner, asked by postMessage",
    repeats: 1,
    async self(): Promise<number> {
      const owner = new Worker(new URL("./workers/map_owner.ts", import.meta.url), {
        workerData: { keys },
      });
      const ask = (key: number): Promise<number> =>
        new Promise((resolve) => {
          owner.once("message", resolve);
          owner.postMessage(key);
        });
      await ask(0);
      const start = performance.now();
      for (let index = 0; index < QUESTIONS; index++) sink.value = await ask(mixed(index, keys));
      const cost = (performance.now() - start) * 1e6 / QUESTIONS;
      await owner.terminate();
      return cost;
    },
  };
}

/** What is compared. */
export function comparisons(): Comparison[] {
  return SIZES.flatMap((keys, index): Comparison[] => {
    const maps = new Maps(keys);
    const all: Comparison[] = [
      { name: `a read, ${named(keys)}`, subjects: reads(maps) },
      { name: `a read of many, ${named(keys)}`, subjects: batches(maps) },
      { name: `a write, ${named(keys)}`, subjects: writes(maps) },
      { name: `a key put in, up to ${named(keys)}`, subjects: fills(keys) },
    ];
    if (index > 0) return all;
    const [read] = reads(maps) as [Subject, Subject];
    return [
      ...all,
      ...atOnce(maps),
      { name: `a read by text, ${named(keys)}`, subjects: texts(keys) },
      { name: `a value of another thread, ${named(keys)}`, subjects: [read, asked(keys)] },
    ];
  });
}
