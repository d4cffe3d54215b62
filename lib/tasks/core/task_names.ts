/**
 * How tasks, their states and their queues are named in the words of `task_core.ts`, which has the picture.
 *
 * @module
 */

/** 32-bit words of a task: a cache line. */
export const TASK_WORDS = 16;

const QUEUED = 1;
const RUNNING = 2;
const KIND_BITS = 2;
const WORKER_BITS = 10;
const WORKER_MASK = (1 << WORKER_BITS) - 1;
const GENERATION_SHIFT = KIND_BITS + WORKER_BITS;
const PLACE_BITS = 14;
const PLACE_MASK = (1 << PLACE_BITS) - 1;

/** The most workers. */
export const MAX_WORKERS: number = 1 << 8;
/** The most tasks on their way at a time. */
export const MAX_TASKS: number = 1 << PLACE_BITS;
/** Generations of a place run from 1 to this, and start again. */
export const LAST_GENERATION: number = (1 << 17) - 1;
/** Levels of priority: 0 comes first. */
export const LEVELS = 3;
/** Queues of a worker. */
export const QUEUES: number = 1 + 2 * LEVELS;
/** The queue of what only one worker may do. */
export const BOUND = 0;

/** No task. */
export const NO_TASK = 0;

/** What a worker is to do that finds no task. */
export const WAIT = 0;
/** As {@linkcode WAIT}: end. */
export const LEAVE = 1;

/** A worker that others may take from. */
export interface Victim {
  /** Which one. */
  readonly worker: number;
  /** How far: 0 the same core, 1 the same L3 domain, 2 the same node, 3 another node. */
  readonly distance: number;
}

/** How far it is to another node. */
export const REMOTE = 3;

/** How many workers and tasks there are, and who is near to whom. */
export interface TaskShape {
  /** Workers: at most {@linkcode MAX_WORKERS}. */
  readonly workers: number;
  /** Tasks: a power of two, at most {@linkcode MAX_TASKS}. */
  readonly tasks: number;
  /** Of each worker all others, the nearest first. */
  readonly victims: readonly (readonly Victim[])[];
  /** Tasks near something are taken to another node when more than so many wait for a worker. */
  readonly budget: number;
}

/**
 * The queue of tasks that have to be near something.
 *
 * @param level Their priority.
 * @returns The number of the queue.
 */
export function nearQueue(level: number): number {
  return 1 + 2 * level;
}

/**
 * The queue of tasks that any worker may do.
 *
 * @param level Their priority.
 * @returns The number of the queue.
 */
export function freeQueue(level: number): number {
  return 2 + 2 * level;
}

/**
 * The name of a task.
 *
 * @param place Its place.
 * @param generation How often the place has been used.
 * @returns Its name, never {@linkcode NO_TASK}.
 */
export function nameOf(place: number, generation: number): number {
  return (generation << PLACE_BITS) | place;
}

/**
 * A task's place.
 *
 * @param name Its name, or any other number.
 * @returns The place: less than {@linkcode MAX_TASKS}.
 */
export function placeOf(name: number): number {
  return name & PLACE_MASK;
}

/**
 * What the state of a task is while nobody has begun it.
 *
 * @param name The task.
 * @returns The state.
 */
export function queuedState(name: number): number {
  return ((name >>> PLACE_BITS) << GENERATION_SHIFT) | QUEUED;
}

/**
 * What the state of a task is while a worker has it.
 *
 * @param name The task.
 * @param worker The worker.
 * @returns The state.
 */
export function runningState(name: number, worker: number): number {
  return ((name >>> PLACE_BITS) << GENERATION_SHIFT) | (worker << KIND_BITS) | RUNNING;
}

/**
 * The worker that has a task.
 *
 * @param state A state, or any other number.
 * @returns The worker, if the state says that one has it; else any number.
 */
export function workerOf(state: number): number {
  return (state >>> KIND_BITS) & WORKER_MASK;
}
