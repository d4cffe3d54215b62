/** Threads that the tests of several files start. */
import { launch, type Thread } from "../../mod.ts";
import type { BroadcastTask, Heard } from "../workers/broadcasts.ts";
import type { CacheTask } from "../workers/caches.ts";
import type { ChannelTask } from "../workers/channels.ts";
import type { DelegatedTask } from "../workers/delegated.ts";
import type { DequeTask } from "../workers/deques.ts";
import type { HistoryTask } from "../workers/histories.ts";
import type { LockTask } from "../workers/locks.ts";
import type { FarMapTask } from "../workers/far_maps.ts";
import type { MapTask } from "../workers/maps.ts";
import type { MessageTask } from "../workers/message_rings.ts";
import type { MpmcTask, Taken } from "../workers/mpmc.ts";
import type { ObjectTask } from "../workers/objects.ts";
import type { OrderedTask } from "../workers/ordered.ts";
import type { PlacedTask } from "../workers/placed.ts";
import type { PrimitiveTask } from "../workers/primitives.ts";
import type { PriorityTask } from "../workers/priorities.ts";
import type { RecordTask } from "../workers/records.ts";
import type { RingTask } from "../workers/rings.ts";
import { sibling } from "./checkout.ts";

/** Starts a thread that uses a lock. */
export function runLocks(args: LockTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/locks"), { args });
}

/** Starts a thread that uses a pool or a slab. */
export function runObjects<Result>(args: ObjectTask): Thread<Result> {
  return launch<Result>(sibling(import.meta.url, "../workers/objects"), { args });
}

/** Starts a thread that uses a barrier, a latch, a once, a semaphore or a counter. */
export function runPrimitives(args: PrimitiveTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/primitives"), { args });
}

/** Starts a thread that puts numbers into a ring, or takes them out. */
export function runRing(args: RingTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/rings"), { args });
}

/** Starts a thread that reads a map, or writes to it. */
export function runMap(args: MapTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/maps"), { args });
}

/** Starts a thread that owns a deque of numbers, or steals from it. */
export function runDeque(args: DequeTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/deques"), { args });
}

/** What a thread says of the records that it has written. */
export type RecordResult = Pick<RecordTask, "array"> & { readonly text: readonly string[] };

/** Starts a thread that writes records. */
export function runRecords(args: RecordTask): Thread<RecordResult> {
  return launch<RecordResult>(sibling(import.meta.url, "../workers/records"), { args });
}

/** Starts one of several threads that put numbers into a ring, or take them out. */
export function runMpmc(args: MpmcTask): Thread<Taken> {
  return launch<Taken>(sibling(import.meta.url, "../workers/mpmc"), { args });
}

/** Starts a thread that puts numbers into a priority queue, and takes them out. */
export function runPriorities(args: PriorityTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/priorities"), { args });
}

/** Starts a thread that publishes numbers, or reads them. */
export function runBroadcast(args: BroadcastTask): Thread<Heard> {
  return launch<Heard>(sibling(import.meta.url, "../workers/broadcasts"), { args });
}

/** Starts a thread that reads an ordered map, or writes to it. */
export function runOrdered(args: OrderedTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/ordered"), { args });
}

/** Starts a thread that reads a cache and writes to it, or computes for it. */
export function runCache(args: CacheTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/caches"), { args });
}

/** Starts a thread that puts messages into a ring, or takes them out. */
export function runMessages(args: MessageTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/message_rings"), { args });
}

/** Starts a thread that sends through a channel, or receives from it. */
export function runChannel(args: ChannelTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/channels"), { args });
}

/** Starts a thread that does calls of a map, and writes down what they returned. */
export function runHistory(args: HistoryTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/histories"), { args });
}

/** Starts a thread that reads a replicated map, or writes to it. */
export function runPlaced(args: PlacedTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/placed"), { args });
}

/** Starts a thread that serves a delegated map, or asks. */
export function runDelegated(args: DelegatedTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/delegated"), { args });
}

/** Starts a thread that reads a map of keys and values of any length, and writes to it. */
export function runFarMap(args: FarMapTask): Thread<number> {
  return launch<number>(sibling(import.meta.url, "../workers/far_maps"), { args });
}
