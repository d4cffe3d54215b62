/**
 * The C helper's functions: the one place where TypeScript says what they look like.
 *
 * `native/include/numakit.h` says what they do. No runtime checks a signature, so `tests/runtime/abi_test.ts` compares this
 * table with the header, the export map and the built library.
 *
 * @module
 */

/** A C parameter: `u64` is given as a number below 2^53, `buffer` as a typed array whose memory C sees. */
export type ArgType = "i32" | "u64" | "buffer";

/** One C function. Every one returns a count or `-errno`. */
export interface Signature {
  /** The parameters, in order. */
  readonly args: readonly ArgType[];
  /** What it returns. */
  readonly returns: "i32";
}

/** A library's functions by name. */
export type SymbolTable = Readonly<Record<string, Signature>>;

/** Memory that a call may read and write while it runs. Never empty or null: runtimes differ in what C then sees. */
export type CallBuffer = Uint8Array | Int32Array | Float64Array | BigUint64Array;

type ArgValue<Arg extends ArgType> = Arg extends "buffer" ? CallBuffer : number;
type ArgValues<Args extends readonly ArgType[]> = {
  -readonly [Index in keyof Args]: ArgValue<Args[Index]>;
};

/** The typed functions that a {@linkcode SymbolTable} stands for. */
export type Calls<Table extends SymbolTable> = {
  readonly [Name in keyof Table]: (...args: ArgValues<Table[Name]["args"]>) => number;
};

/** The ABI version these signatures belong to: `NK_ABI_VERSION` of the header. */
export const ABI_VERSION = 6;

/**
 * What the helper tells of a mapping, as 64-bit words: `NK_MAPPING_FACTS`. It always writes all of them, so the buffer
 * must have room.
 */
export const MAPPING_FACTS = 11;

/** What the helper tells of a thread that it has placed, as 64-bit words: `NK_PLACED_WORDS`. */
export const PLACED_WORDS = 4;

/** The functions of the C helper. */
export const SYMBOLS = {
  nk_abi_version: { args: [], returns: "i32" },
  nk_affinity_get: { args: ["buffer", "i32"], returns: "i32" },
  nk_affinity_own: { args: ["buffer", "i32"], returns: "i32" },
  nk_affinity_set: { args: ["buffer", "i32", "i32"], returns: "i32" },
  nk_binding_abandon: { args: ["u64"], returns: "i32" },
  nk_binding_make: {
    args: ["buffer", "u64", "i32", "buffer", "i32", "buffer"],
    returns: "i32",
  },
  nk_binding_stats: { args: ["buffer"], returns: "i32" },
  nk_binding_undo: { args: ["u64"], returns: "i32" },
  nk_buffer_advise_huge: { args: ["buffer", "u64"], returns: "i32" },
  nk_buffer_locate: { args: ["buffer", "u64", "buffer", "u64"], returns: "i32" },
  nk_buffer_move: {
    args: ["buffer", "u64", "buffer", "i32", "u64", "buffer"],
    returns: "i32",
  },
  nk_buffer_pages: { args: ["buffer", "u64", "buffer"], returns: "i32" },
  nk_buffer_populate: { args: ["buffer", "u64", "buffer", "i32"], returns: "i32" },
  nk_buffer_split: { args: ["buffer", "u64"], returns: "i32" },
  nk_cpu_current: { args: [], returns: "i32" },
  nk_cpu_quota: { args: ["buffer", "buffer"], returns: "i32" },
  nk_futex_wait: { args: ["u64", "u64", "i32", "i32"], returns: "i32" },
  nk_futex_wake: { args: ["u64", "u64", "i32"], returns: "i32" },
  nk_machine_look: { args: ["buffer", "buffer", "u64"], returns: "i32" },
  nk_mapping_attach: { args: ["u64", "buffer"], returns: "i32" },
  nk_mapping_claim: { args: ["u64", "i32"], returns: "i32" },
  nk_mapping_commit: { args: ["u64", "u64"], returns: "i32" },
  nk_mapping_create: { args: ["i32", "i32", "i32", "u64", "u64", "buffer"], returns: "i32" },
  nk_mapping_huge_bytes: { args: ["u64", "i32", "buffer"], returns: "i32" },
  nk_mapping_list: { args: ["buffer", "u64"], returns: "i32" },
  nk_mapping_open: { args: ["buffer", "buffer"], returns: "i32" },
  nk_mapping_populate: { args: ["u64", "u64", "u64"], returns: "i32" },
  nk_mapping_publish: { args: ["u64", "buffer"], returns: "i32" },
  nk_mapping_quarantine: { args: ["buffer"], returns: "i32" },
  nk_mapping_release: { args: ["u64", "i32"], returns: "i32" },
  nk_mapping_residency: { args: ["u64", "u64", "u64", "buffer", "i32"], returns: "i32" },
  nk_mapping_share: {
    args: ["buffer", "i32", "i32", "i32", "u64", "u64", "buffer"],
    returns: "i32",
  },
  nk_mapping_stats: { args: ["buffer"], returns: "i32" },
  nk_mapping_unpin: { args: ["u64"], returns: "i32" },
  nk_memory_limit: { args: ["buffer", "buffer"], returns: "i32" },
  nk_names_folder: { args: ["buffer", "u64"], returns: "i32" },
  nk_node_available: { args: ["i32", "buffer"], returns: "i32" },
  nk_node_hugepages: { args: ["i32", "u64", "buffer"], returns: "i32" },
  nk_node_memory: { args: ["i32", "buffer"], returns: "i32" },
  nk_node_room: { args: ["i32", "u64", "u64"], returns: "i32" },
  nk_policy_restore: { args: ["buffer"], returns: "i32" },
  nk_policy_save: { args: ["buffer"], returns: "i32" },
  nk_policy_set: { args: ["i32", "i32"], returns: "i32" },
  nk_robust_acquire: { args: ["i32", "i32"], returns: "i32" },
  nk_robust_open: { args: ["u64", "u64"], returns: "i32" },
  nk_robust_release: { args: ["i32"], returns: "i32" },
  nk_thread_alive: { args: ["u64"], returns: "i32" },
  nk_thread_cpu_time: { args: ["u64", "buffer"], returns: "i32" },
  nk_thread_move: { args: ["u64", "buffer", "i32", "i32", "buffer"], returns: "i32" },
  nk_thread_nice: { args: ["u64", "buffer"], returns: "i32" },
  nk_thread_rename: { args: ["buffer"], returns: "i32" },
  nk_thread_renice: { args: ["u64", "i32"], returns: "i32" },
  nk_thread_rseq: { args: ["buffer"], returns: "i32" },
  nk_thread_self: { args: ["buffer"], returns: "i32" },
  nk_thread_yield: { args: [], returns: "i32" },
  nk_threads_place: {
    args: ["buffer", "i32", "buffer", "i32", "buffer", "u64"],
    returns: "i32",
  },
  nk_topology_export: { args: ["i32", "buffer", "buffer", "u64"], returns: "i32" },
} as const;
