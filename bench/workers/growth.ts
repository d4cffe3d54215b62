/**
 * Times each single call while a map grows, in a thread of its own: what `bench/growth.ts` shows. Between slices of calls
 * there are as long slices of laps in which nothing is called: what interrupts those is the machine, and not the map.
 */
import {
  currentCpu,
  type HashMap,
  type Histogram,
  worker,
  type WorkerFunction,
} from "../../mod.ts";
import { mixed } from "../mixed.ts";

/** What a thread does. */
export interface GrowthTask {
  /**
   * Sets new keys of a map, or reads those that it has; or does both in turn with a `Map`, which no other thread can use.
   */
  readonly role: "write" | "read" | "Map";
  readonly map: HashMap<number, number>;
  /** Another map to begin with, so that what is measured is compiled. */
  readonly small: HashMap<number, number>;
  /** Keys that are there before anything is timed, and in the end. */
  readonly from: number;
  readonly to: number;
  /** How many keys there are, as the writer says now and then; and how many threads are ready. */
  readonly state: Int32Array;
  readonly sets: Histogram;
  readonly gets: Histogram;
  readonly laps: Histogram;
  /** What is counted while everything is compiled. */
  readonly warmUp: Histogram;
}

/** What came of it. */
export interface GrowthResult {
  readonly cpu: number;
  /** How long it took, laps included. */
  readonly elapsedMs: number;
}

/** Calls between two slices of laps. */
const SLICE = 256;
/** Steps of a lap: about as long as a call. */
const LAP_STEPS = 150;
const WARM_UP_KEYS = 50_000;

interface MapLike {
  get(key: number): number | undefined;
  set(key: number, value: number): unknown;
}

/** Keys that come in no order. */
const keyOf = (index: number): number => Math.imul(index, 0x9e3779b1) >>> 0;

function lap(before: number): number {
  let value = before;
  for (let step = 0; step < LAP_STEPS; step++) value = Math.imul(value, 1664525) + 1013904223 | 0;
  return value;
}

const nanoseconds = (from: number, to: number): number => Math.round((to - from) * 1e6);

/** As many laps as take as long as what was called in a slice. */
function timeLaps(laps: Histogram, ms: number): void {
  const end = performance.now() + ms;
  for (let value = 0;;) {
    const start = performance.now();
    value = lap(value);
    const stop = performance.now();
    laps.record(nanoseconds(start, stop));
    if (stop > end || value === 0.5) return;
  }
}

function timeSets(map: MapLike, from: number, to: number, sets: Histogram): void {
  for (let index = from; index < to; index++) {
    const start = performance.now();
    map.set(keyOf(index), index);
    sets.record(nanoseconds(start, performance.now()));
  }
}

/** Reads keys that are there, from one of the many places to begin. */
function timeGets(map: MapLike, first: number, keys: number, gets: Histogram): void {
  let missing = 0;
  for (let index = 0; index < SLICE; index++) {
    const wanted = mixed(first + index, keys);
    const start = performance.now();
    const value = map.get(keyOf(wanted));
    gets.record(nanoseconds(start, performance.now()));
    if (value !== wanted) missing++;
  }
  if (missing > 0) throw new Error(`${missing} keys were not there`);
}

/** What one is to count in: the task's, or what is thrown away. */
type Counts = Pick<GrowthTask, "sets" | "gets" | "laps">;

function write(
  { map, state, reads }: { map: MapLike; state: Int32Array; reads: boolean },
  { from, to }: { from: number; to: number },
  { sets, gets, laps }: Counts,
): void {
  for (let at = from; at < to; at += SLICE) {
    const start = performance.now();
    const end = Math.min(to, at + SLICE);
    timeSets(map, at, end, sets);
    Atomics.store(state, 0, end);
    if (reads) timeGets(map, at, end, gets);
    timeLaps(laps, performance.now() - start);
  }
}

function read(map: MapLike, state: Int32Array, to: number, { gets, laps }: Counts): void {
  for (let first = 0;; first += SLICE) {
    const keys = Atomics.load(state, 0);
    const start = performance.now();
    timeGets(map, first, keys, gets);
    timeLaps(laps, performance.now() - start);
    if (keys === to) return;
  }
}

/** Everything that will be measured, with other maps. */
function warmUp({ role, small, warmUp }: GrowthTask): void {
  const counts: Counts = { sets: warmUp, gets: warmUp, laps: warmUp };
  const state = Int32Array.of(WARM_UP_KEYS);
  const all = { from: 0, to: WARM_UP_KEYS };
  const map = role === "Map" ? new Map<number, number>() : small;
  write({ map, state, reads: role === "Map" }, all, counts);
  if (role !== "read") return;
  for (let round = 0; round * SLICE < WARM_UP_KEYS; round++) {
    read(small, state, WARM_UP_KEYS, counts);
  }
}

/** Waits for so many threads, as one of them. */
function meet(state: Int32Array, threads: number): void {
  Atomics.add(state, 1, 1);
  while (Atomics.load(state, 1) < threads) Atomics.wait(state, 1, Atomics.load(state, 1), 1);
}

function run(task: GrowthTask): GrowthResult {
  const { role, from, to, state } = task;
  const map: MapLike = role === "Map" ? new Map<number, number>() : task.map;
  warmUp(task);
  if (role !== "read") {
    for (let index = 0; index < from; index++) map.set(keyOf(index), index);
    Atomics.store(state, 0, from);
  }
  if (role !== "Map") meet(state, 2);
  const start = performance.now();
  if (role === "read") read(map, state, to, task);
  else write({ map, state, reads: role === "Map" }, { from, to }, task);
  return { cpu: currentCpu(), elapsedMs: performance.now() - start };
}

const body: WorkerFunction<GrowthTask, GrowthResult> = worker(run);
export default body;
