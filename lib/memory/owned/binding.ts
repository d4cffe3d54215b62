import { formatBytes, parseBytes } from "../../base/bytes.ts";
import { checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { ERRNO, errnoError } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { showAs } from "../../base/inspect.ts";
import { native } from "../../runtime/native.ts";
import { checkNode } from "../../topology/nodes.ts";
import { callerStack, inDebugMode, reportLeak } from "../mapping/debug.ts";
import { publish } from "../mapping/events.ts";
import { explainCreate } from "../mapping/explain.ts";
import {
  type BufferPlacement,
  bytesOf,
  locate,
  type OwnedMemory,
  type WholePages,
  wholePages,
} from "./owned.ts";
import {
  type BindOptions,
  type InterleaveOptions,
  type MoveOptions,
  patternOf,
  type SharedBufferOptions,
} from "./options.ts";

const POLICY = { bind: 2, interleave: 3 } as const;
const MASK_WORDS = 16;

/** What is told of a binding that was collected. */
interface Forgotten {
  readonly identity: number;
  readonly text: string;
  readonly stack: string;
}

/** Bindings that nobody can release any more: their policies stay, which is all that a finalizer may decide. */
const forgotten = /* @__PURE__ */ new FinalizationRegistry<Forgotten>(
  ({ identity, text, stack }) => {
    native().calls.nk_binding_abandon(identity);
    if (inDebugMode()) {
      reportLeak(`${text} was collected and never released: its policy stays`, stack);
    }
  },
);

function maskOf(nodes: readonly number[]): BigUint64Array {
  const mask = new BigUint64Array(MASK_WORDS);
  for (const node of nodes) {
    mask[node >> 6] = (mask[node >> 6] as bigint) | (1n << BigInt(node & 63));
  }
  return mask;
}

/** Makes a policy the one that stands, or throws and changes nothing. Returns its identity. */
function setPolicy(
  pages: WholePages,
  policy: keyof typeof POLICY,
  nodes: readonly number[],
  action: string,
): number {
  const { nk_binding_make } = native().calls;
  const { whole } = pages;
  const out = new BigUint64Array(1);
  const mask = maskOf(nodes);
  const result = nk_binding_make(whole, whole.length, POLICY[policy], mask, MASK_WORDS, out);
  if (result < 0) throw refusal(result, "nk_binding_make", nodes, pages, action);
  return Number(out[0]);
}

function refusal(
  result: number,
  syscall: string,
  nodes: readonly number[],
  pages: WholePages,
  action: string,
): NumaError {
  const [node] = nodes;
  if (-result === ERRNO.ENOTSUP && syscall !== "nk_buffer_advise_huge") {
    return new NumaError("ENOTSUP", action, {
      why: "it belongs to an arena, which keeps its memory on its own node",
      fix: "Make an arena on that node and copy: pages of an arena can only be moved back to it.",
      syscall,
    });
  }
  if (nodes.length !== 1 || node === undefined) return errnoError(result, syscall, action);
  return explainCreate(result, { node, pages: "4k", bytes: pages.bytes, action, syscall });
}

/** What comes to a node when pages go where they should be. */
interface Arrivals {
  /** Bytes in all. */
  bytes: number;
  /** Bytes of them that are not resident yet. */
  absentBytes: number;
}

/** All of it has to fit before the first page is touched, because nothing could take the others back. */
function checkRoom(
  pages: WholePages,
  pattern: readonly number[],
  action: string,
  { populating }: { readonly populating: boolean },
): void {
  const { pageNodes } = locate(pages, action);
  const arrivals = new Map(pattern.map((node): [number, Arrivals] => [
    node,
    { bytes: 0, absentBytes: 0 },
  ]));
  pageNodes.forEach((at, page) => {
    const node = pattern[page % pattern.length] as number;
    const absent = at < 0;
    if (at === node || (absent && !populating)) return;
    const coming = arrivals.get(node) as Arrivals;
    coming.bytes += pages.pageBytes;
    if (absent) coming.absentBytes += pages.pageBytes;
  });
  // The limit of a cgroup is for all nodes together.
  let absentBytes = 0;
  for (const [node, coming] of arrivals) {
    absentBytes += coming.absentBytes;
    const result = native().calls.nk_node_room(node, coming.bytes, absentBytes);
    if (result === 0) continue;
    const syscall = "nk_node_room";
    throw explainCreate(result, { node, pages: "4k", bytes: coming.bytes, action, syscall });
  }
}

/** Pages that are not where they should be. */
interface Misplaced {
  /** Pages on other nodes. */
  readonly elsewhere: number;
  /** Pages that are not resident. */
  readonly absent: number;
}

/** Moves page after page to the nodes of a pattern; each step of them is prepared before. */
function move(
  pages: WholePages,
  pattern: readonly number[],
  action: string,
  prepare: (step: Uint8Array<ArrayBufferLike>) => void = () => {},
): Misplaced {
  const { nk_buffer_move } = native().calls;
  const targets = Int32Array.from(pattern);
  const out = new Int32Array(1);
  let elsewhere = 0;
  let absent = 0;
  let first = 0;
  for (const step of pages.steps) {
    prepare(step);
    const result = nk_buffer_move(step, step.length, targets, targets.length, first, out);
    if (result < 0) throw refusal(result, "nk_buffer_move", [...new Set(pattern)], pages, action);
    elsewhere += result;
    absent += out[0] as number;
    first += step.length / pages.pageBytes;
  }
  return { elsewhere, absent };
}

/** Populates pages and puts each where it should be. */
function fill(pages: WholePages, pattern: readonly number[], action: string): Misplaced {
  const { nk_buffer_populate } = native().calls;
  const nodes = [...new Set(pattern)];
  const mask = maskOf(nodes);
  // Step by step: the kernel spreads pages evenly, which may be more than a node is to have, or has, in the end.
  return move(pages, pattern, action, (step) => {
    const result = nk_buffer_populate(step, step.length, mask, MASK_WORDS);
    if (result < 0) throw refusal(result, "nk_buffer_populate", nodes, pages, action);
  });
}

function misplaced({ bytes, pageBytes }: WholePages, left: Misplaced, action: string): NumaError {
  const { elsewhere, absent } = left;
  const gone = absent === 0 ? "" : ` and took ${absent} away again (swapped out)`;
  return new NumaError("ESTRICT", action, {
    why: `the kernel left ${elsewhere} of ${bytes / pageBytes} pages elsewhere${gone}`,
    fix:
      "Check whether the nodes have free memory and whether something pins the pages, and try again.",
    syscall: "move_pages",
  });
}

/** A hugepage is on one node as a whole, so pages that go to different nodes have to be small. */
function split({ steps }: WholePages, action: string): void {
  for (const step of steps) {
    const result = native().calls.nk_buffer_split(step, step.length);
    if (result < 0) throw errnoError(result, "nk_buffer_split", action);
  }
}

function tellMoved({ bytes }: WholePages, nodes: readonly number[]): void {
  const node = nodes.length === 1 ? nodes[0] : undefined;
  publish("migrated", () => ({ label: "buffer", identity: undefined, node, bytes }));
}

function place(pages: WholePages, pattern: readonly number[], action: string): void {
  const nodes = [...new Set(pattern)];
  if (nodes.length > 1) split(pages, action);
  checkRoom(pages, pattern, action, { populating: true });
  const left = fill(pages, pattern, action);
  if (left.elsewhere + left.absent > 0) throw misplaced(pages, left, action);
  tellMoved(pages, nodes);
}

/** Undoes a policy where it stands. */
function undo(identity: number): void {
  const result = native().calls.nk_binding_undo(identity);
  if (result < 0) throw errnoError(result, "nk_binding_undo", "unbind memory");
}

/**
 * A memory policy on a buffer that the runtime owns, until `release` or the end of a `using` block.
 *
 * Bindings may overlap, also between threads. The newest binding of a page applies. When it is released, the one before
 * it applies again, so that nested blocks do what they seem to. Releasing a binding changes nothing where a newer one
 * applies. The pages stay where they are.
 *
 * A binding that is garbage-collected is not released: its policy stays as long as its memory, or longer, where the
 * engine uses the same pages for other objects (Bun). Debug mode (`NUMAKIT_DEBUG=1`) reports it.
 *
 * @example
 * ```ts
 * import { bind } from "@numakit/numakit";
 *
 * const samples = new Float64Array(1e6);
 * {
 *   using binding = bind(samples, { node: 0 });
 *   console.log(binding.nodes, binding.placement().absent); // [ 0 ] 0
 * }
 * // The pages are where they were, and the policy is what it was before.
 * ```
 */
export class Binding<Memory extends OwnedMemory = OwnedMemory> {
  static readonly #shown = /* @__PURE__ */ showAs(Binding, String);
  /** What was bound. */
  readonly buffer: Memory;
  /** The nodes. */
  readonly nodes: readonly number[];
  /** Bytes of whole pages that were bound. */
  readonly boundBytes: number;
  /** Bytes at the edges that were not bound, because their pages are shared with other objects. */
  readonly edgeBytes: number;
  readonly #identity: number;
  #released = false;

  private constructor(
    buffer: Memory,
    pages: WholePages,
    nodes: readonly number[],
    identity: number,
  ) {
    void Binding.#shown;
    this.buffer = buffer;
    this.nodes = nodes;
    this.boundBytes = pages.bytes;
    this.edgeBytes = pages.edgeBytes;
    this.#identity = identity;
    const text = `a binding of ${formatBytes(pages.bytes)} to nodes ${nodes.join(", ")}`;
    forgotten.register(this, { identity, text, stack: inDebugMode() ? callerStack() : "" }, this);
  }

  /** Places the pages of a buffer, or leaves its policy as it was. */
  static #make<Memory extends OwnedMemory>(
    buffer: Memory,
    policy: "bind" | "interleave",
    pattern: readonly number[],
    action: string,
    huge = false,
  ): Binding<Memory> {
    const pages = wholePages(bytesOf(buffer, action), action);
    const nodes = [...new Set(pattern)];
    const identity = setPolicy(pages, policy, nodes, action);
    try {
      if (huge) Binding.#adviseHuge(pages, action);
      place(pages, pattern, action);
    } catch (error) {
      // What went wrong first is told, whatever becomes of this.
      native().calls.nk_binding_undo(identity);
      throw error;
    }
    return new Binding(buffer, pages, nodes, identity);
  }

  static #adviseHuge({ steps }: WholePages, action: string): void {
    for (const step of steps) {
      const result = native().calls.nk_buffer_advise_huge(step, step.length);
      if (result < 0) throw errnoError(result, "nk_buffer_advise_huge", action);
    }
  }

  /** @ignore What {@linkcode bind} does. */
  static bind<Memory extends OwnedMemory>(buffer: Memory, options: BindOptions): Binding<Memory> {
    checkOptions(options, "{ node: 0 }", "bind memory");
    checkOptionNames(options, ["node", "huge"], "bind memory");
    const { node, huge = false } = options;
    const action = `bind memory to node ${show(node)}`;
    checkNode(node, action);
    if (typeof huge !== "boolean") {
      throw new NumaError("EINVAL", action, {
        why: `huge is ${show(huge)}`,
        fix: "Give a boolean.",
      });
    }
    return Binding.#make(buffer, "bind", [node], action, huge);
  }

  /** @ignore What {@linkcode interleave} does. */
  static interleave<Memory extends OwnedMemory>(
    buffer: Memory,
    options: InterleaveOptions,
  ): Binding<Memory> {
    const action = "interleave memory";
    checkOptions(options, "{ nodes: [0, 1] }", action);
    checkOptionNames(options, ["nodes", "weights"], action);
    return Binding.#make(buffer, "interleave", patternOf(options, action), action);
  }

  /** Whether the policy was undone. */
  get released(): boolean {
    return this.#released;
  }

  /**
   * Asks the kernel where the pages are now.
   *
   * @throws {NumaError} As {@linkcode placement}.
   */
  placement(): BufferPlacement {
    const action = "ask where bound memory is";
    return locate(wholePages(bytesOf(this.buffer, action), action), action);
  }

  /**
   * Undoes the policy where it stands, even when the buffer has grown, shrunk or been transferred away since. Memory
   * that took the place of the buffer's is left alone. Calling it twice has no further effect.
   *
   * @throws {NumaError} `ENOMEM` the kernel has no memory to record the change; it can be tried again.
   */
  release(): void {
    if (this.#released) return;
    undo(this.#identity);
    this.#released = true;
    forgotten.unregister(this);
  }

  /** {@linkcode release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Returns a short text for logs. */
  toString(): string {
    const state = this.#released
      ? "undone"
      : `${formatBytes(this.edgeBytes)} at the edges not bound`;
    return `Binding(${formatBytes(this.boundBytes)} on nodes ${this.nodes.join(", ")}; ${state})`;
  }
}

/**
 * Puts memory that the runtime owns on a node, strictly: the whole pages inside it are moved or made there, and stay
 * bound to it until the binding is released.
 *
 * Cost: about 0.2 s for each GiB, and as much again for pages that have to move.
 *
 * @param buffer The memory. Of a view only its own part is bound.
 * @param options The node.
 * @returns The binding, which says what was bound and what was not.
 * @throws {NumaError} `EINVAL` no memory, or no whole page in it; `ENODEV` no such node; `ENOMEM` no room there;
 * `EACCES` not in the cpuset; `EPERM` memory policy forbidden; `ESTRICT` a page would not move; `ENOTSUP` memory of an
 * arena, which keeps its own policy. Every policy is then as it was; pages that were populated or moved by then stay so.
 *
 * @example
 * ```ts
 * import { bind } from "@numakit/numakit";
 *
 * const words = new Int32Array(new SharedArrayBuffer(2 ** 20));
 * using binding = bind(words, { node: 0 });
 * console.log(binding.placement().nodes.get(0), binding.edgeBytes);
 * ```
 */
export function bind<Memory extends OwnedMemory>(
  buffer: Memory,
  options: BindOptions,
): Binding<Memory> {
  return Binding.bind(buffer, options);
}

/**
 * Spreads memory that the runtime owns over nodes, page by page, for data that many threads read and few write. With more
 * than one node, its transparent hugepages are split into small pages for good.
 *
 * @param buffer The memory. Of a view only its own part is spread.
 * @param options The nodes, and the number of pages that each of them gets in a round.
 * @returns The binding, which says what was spread and what was not.
 * @throws {NumaError} As {@linkcode bind}. Every policy is then as it was; pages that were populated or moved by then
 * stay so.
 *
 * @example
 * ```ts
 * import { interleave, topology } from "@numakit/numakit";
 *
 * const nodes = topology().nodes.filter(({ totalBytes }) => totalBytes > 0).map(({ id }) => id);
 * using binding = interleave(new SharedArrayBuffer(2 ** 20), { nodes });
 * console.log(binding.placement().nodes);
 * ```
 */
export function interleave<Memory extends OwnedMemory>(
  buffer: Memory,
  options: InterleaveOptions,
): Binding<Memory> {
  return Binding.interleave(buffer, options);
}

/**
 * Moves memory that the runtime owns to a node, once. It sets no policy: an existing one still decides where pages go that
 * are touched later. Pages of an arena that something else has moved away can be moved back to its node, and nowhere
 * else.
 *
 * Cost: about 0.4 s for each GiB.
 *
 * @param buffer The memory. Of a view only its own part is moved.
 * @param options The node.
 * @returns Where each page is afterwards; pages that were never touched are still absent.
 * @throws {NumaError} As {@linkcode bind}. Pages that were moved by then stay where they are.
 *
 * @example
 * ```ts
 * import { migrate, placement } from "@numakit/numakit";
 *
 * const table = new Int32Array(new SharedArrayBuffer(2 ** 20)).fill(1);
 * const { nodes } = migrate(table, { node: 0 });
 * console.log(nodes, placement(table).nodes); // Map(1) { 0 => 256 }, twice
 * ```
 */
export function migrate(buffer: OwnedMemory, options: MoveOptions): BufferPlacement {
  checkOptions(options, "{ node: 0 }", "move memory");
  checkOptionNames(options, ["node"], "move memory");
  const { node } = options;
  const action = `move memory to node ${show(node)}`;
  checkNode(node, action);
  const pages = wholePages(bytesOf(buffer, action), action);
  checkRoom(pages, [node], action, { populating: false });
  const { elsewhere } = move(pages, [node], action);
  // Pages that are absent come to be where they are touched.
  if (elsewhere > 0) throw misplaced(pages, { elsewhere, absent: 0 }, action);
  tellMoved(pages, [node]);
  return locate(pages, action);
}

/**
 * Creates a `SharedArrayBuffer` on a node: it is allocated, advised, bound and populated, in this order.
 *
 * @param options Node and size; `huge` asks for transparent hugepages before the first touch.
 * @returns The binding; its `buffer` is the SharedArrayBuffer.
 * @throws {NumaError} As {@linkcode bind}.
 *
 * @example
 * ```ts
 * import { sharedBuffer } from "@numakit/numakit";
 *
 * using shared = sharedBuffer({ node: 0, size: "4 MiB", huge: true });
 * const words = new Int32Array(shared.buffer);
 * console.log(words.length, shared.placement().absent); // 1048576 0
 * ```
 */
export function sharedBuffer(options: SharedBufferOptions): Binding<SharedArrayBuffer> {
  const action = "make a shared buffer";
  checkOptions(options, '{ node: 0, size: "1 MiB" }', action);
  checkOptionNames(options, ["node", "size", "huge"], action);
  const { size, ...place } = options;
  const bytes = parseBytes(size, action);
  let buffer: SharedArrayBuffer;
  try {
    buffer = new SharedArrayBuffer(bytes);
  } catch (cause) {
    throw new NumaError("ENOMEM", action, {
      why: `the runtime refused to make a SharedArrayBuffer of ${formatBytes(bytes)}`,
      fix: "Ask for less, or use an Arena.",
      cause,
    });
  }
  return bind(buffer, place);
}
