/**
 * How the memory of a NodePool is laid out on each of its nodes.
 *
 * @module
 */
import { formatBytes } from "../../base/bytes.ts";
import { NumaError } from "../../base/error.ts";
import { objectLayout } from "./object_layout.ts";
import { bitsFor, bookkeepingBytes, ID_BITS } from "./object_memory.ts";
import type { ObjectHeapOptions } from "./object_options.ts";
import { CLASS_BYTES, STEP_BYTES } from "./size_classes.ts";

/** log2 of the ids a chunk has. */
const SHIFT = 6;
/** Ids a chunk has. */
export const IDS_A_CHUNK: number = 1 << SHIFT;
const CHUNK_BYTES = 65536;
/** There are chunks, and so states, for objects of this size on average: 13 % of the memory for bookkeeping. */
const BYTES_AN_OBJECT = 32;
/** The most steps of 16 bytes on a node. */
export const MAX_STEPS: number = 2 ** 31 - 1;

const SLOTS: readonly number[] = /* @__PURE__ */ CLASS_BYTES.map((bytes) =>
  Math.min(2 ** SHIFT, Math.floor(CHUNK_BYTES / bytes))
);
const UNITS: readonly number[] = /* @__PURE__ */ CLASS_BYTES.map((bytes, kind) =>
  (SLOTS[kind] as number) * bytes / STEP_BYTES
);

/** What a pool is made of, the same on each node. */
export interface PoolConfig {
  /** Bytes a node, in steps of 16, bookkeeping included. */
  readonly steps: number;
  /** Threads that can use it at a time. */
  readonly threads: number;
  /** How many nodes. */
  readonly nodes: number;
}

/** What follows from a pool's configuration. */
export interface PoolPlan {
  /** The heap's options. */
  readonly heap: Omit<ObjectHeapOptions, "self" | "alive">;
  /** Bytes for objects on each node. */
  readonly objectBytes: number;
  /** Bits of an id below the node's index. */
  readonly localBits: number;
}

/**
 * Plans the memory of a pool on a node.
 *
 * @param config Its configuration.
 * @returns What follows from it.
 */
export function planPool({ steps, threads, nodes }: PoolConfig): PoolPlan {
  const bytes = steps * STEP_BYTES;
  const most = 2 ** (ID_BITS - bitsFor(nodes) - SHIFT);
  const chunks = Math.min(Math.max(1, Math.floor(bytes / BYTES_AN_OBJECT / 2 ** SHIFT)), most);
  const layout = objectLayout({ records: threads, chunks, shift: SHIFT });
  const objectBytes = Math.floor((bytes - bookkeepingBytes(layout)) / 64) * 64;
  const room = objectBytes / STEP_BYTES;
  const heap = { layout, objects: chunks << SHIFT, slots: SLOTS, units: UNITS, room };
  return { heap, objectBytes, localBits: bitsFor(chunks << SHIFT) };
}

/**
 * Checks that there is room for objects.
 *
 * @param config A pool's configuration.
 * @param action What was asked, as it follows "Cannot".
 * @returns The same.
 * @throws {NumaError} `EINVAL`.
 */
export function checkPlan(config: PoolConfig, action: string): PoolConfig {
  if (planPool(config).objectBytes >= CHUNK_BYTES) return config;
  throw new NumaError("EINVAL", action, {
    why: `bytesPerNode is ${formatBytes(config.steps * STEP_BYTES)}, which leaves less than ` +
      `${formatBytes(CHUNK_BYTES)} for objects`,
    fix: "Give at least 128 KiB, or fewer threads.",
  });
}
