/**
 * What a scene of the line counts is made of: something that is done in several ways, numakit's and others.
 */
import { Arena, type BindStrength, topology } from "../../mod.ts";
import type { Place, Work } from "./works.ts";

/** What one thread does. */
export interface Job {
  /** The CPU that it is pinned to. */
  readonly cpu: number;
  readonly work: Work;
  /** How hard its own memory is bound. Default: `"prefer"`, as `launch` has it. */
  readonly memory?: BindStrength;
  /** What of its work goes to the thread. Default: nothing. */
  readonly transfer?: readonly object[];
}

/** A way that is ready to be counted. */
export interface Prepared {
  /** At most one for each CPU. */
  readonly jobs: readonly Job[];
  /** What else is done, by threads of its own. Default: nothing. */
  readonly run?: () => Promise<unknown>;
  /** Memory to count apart, besides what the jobs name themselves. */
  readonly ranges: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
  /** What counts: accesses to the named memory, or all of the jobs' CPUs. Default: the memory. */
  readonly counts?: "memory" | "cpus";
  /** How many operations all of them do. */
  readonly operations: number;
  readonly end: () => void | Promise<void>;
}

/** One way to do it. */
export interface Variant {
  /** What it is, in the table. */
  readonly name: string;
  /** Whether it is numakit's. */
  readonly ours: boolean;
  /** Prepares it, with memory that no cache has a line of. */
  readonly make: () => Prepared | Promise<Prepared>;
}

/** Something that is counted in several ways. */
export interface Scene {
  readonly name: string;
  /** What an operation is. */
  readonly operation: string;
  /** Whether Deno and Node count it, too. */
  readonly everywhere?: boolean;
  readonly variants: readonly Variant[];
}

export const LINE: number = 64;
export const MIB: number = 2 ** 20;

/** The nodes that have CPUs. */
export const nodes = (): number[] =>
  topology().nodes.filter(({ cpus }) => cpus.size > 0).map(({ id }) => id);

/** The last node. */
export const lastNode = (): number => nodes().at(-1) as number;

/** A CPU of a node: its last one, the one before that and so on. */
export function cpuOf(node: number, index = 0): number {
  const cpus = [...topology().nodes.find(({ id }) => id === node)?.cpus ?? []];
  return cpus.at(-1 - index) as number;
}

/** A place in an arena of its own, written. */
export function placeOn(
  node: number,
  size: number,
): { place: Place; bytes: Uint8Array<ArrayBuffer>; arena: Arena } {
  const arena = Arena.create({ node, size: size + MIB, pages: "4k" });
  const offset = arena.alloc(size);
  const bytes = arena.view(offset, size).fill(1);
  return { place: { arena, offset, size }, bytes, arena };
}

/** What a program has without numakit, with no memory yet. */
export function emptyPlace(
  size: number,
): { place: { shared: SharedArrayBuffer }; bytes: Uint8Array<ArrayBuffer> } {
  const shared = new SharedArrayBuffer(size);
  const bytes = new Uint8Array(shared) as Uint8Array as Uint8Array<ArrayBuffer>;
  return { place: { shared }, bytes };
}

/** The same, with memory wherever the main thread was when it wrote it. */
export function sharedPlace(size: number): ReturnType<typeof emptyPlace> {
  const made = emptyPlace(size);
  made.bytes.fill(1);
  return made;
}

/** A job on each node. */
export function onEachNode(work: (index: number, of: number) => Work): Job[] {
  const all = nodes();
  return all.map((node, index) => ({ cpu: cpuOf(node), work: work(index, all.length) }));
}

/** So many jobs, dealt to the nodes. */
export function dealt(count: number, work: (index: number) => Work): Job[] {
  const all = nodes();
  return Array.from({ length: count }, (_, index) => ({
    cpu: cpuOf(all[index % all.length] as number, Math.floor(index / all.length)),
    work: work(index),
  }));
}

/** Nothing to end. */
export function nothing(): void {}
