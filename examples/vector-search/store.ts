/** Where the vectors are: a part of them on each node, cut into slices. */
import { bind, NodeArray, topology } from "@numakit/numakit";
import { type Memory as Vectors, wasmBytes } from "./kernel.ts";
import type { Options } from "./options.ts";
import type { Part, Slice } from "./tasks.ts";
import { DIMENSIONS } from "./vectors.ts";
import { Memory, WASM_PAGE } from "./wasm.ts";

export interface Store {
  readonly parts: readonly Part[];
  readonly slices: readonly Slice[];
  close(): void;
}

/** Memory for some vectors on each node. */
interface Parts {
  readonly memories: readonly Vectors[];
  close(): void;
}

/**
 * A `NodeArray` has a part on each node. A kernel in WebAssembly reaches nothing but its own memory, so there it is a
 * memory for each node, bound to it.
 */
function partsFor(nodes: readonly number[], each: number, options: Options): Parts {
  const { kernel, unplaced } = options;
  if (kernel === "wasm") {
    const pages = Math.ceil(wasmBytes(each) / WASM_PAGE);
    const memories = nodes.map(() => new Memory({ initial: pages, maximum: pages, shared: true }));
    const bindings = unplaced
      ? []
      : memories.map((memory, index) => bind(memory.buffer, { node: nodes[index]! }));
    return {
      memories: memories.map((memory) => ({ kind: "wasm", memory })),
      close: () => bindings.forEach((binding) => binding.release()),
    };
  }
  if (unplaced) {
    const bytes = each * DIMENSIONS * 4;
    return {
      memories: nodes.map(() => ({ kind: "shared", buffer: new SharedArrayBuffer(bytes) })),
      close: () => {},
    };
  }
  const length = nodes.length * each * DIMENSIONS;
  const array = NodeArray.create({ type: "float32", length, nodes });
  return {
    memories: nodes.map((_, part) => ({ kind: "array", array, part })),
    close: () => array.destroy(),
  };
}

/** Makes room for vectors, with a slice for each CPU of their node. */
export function createStore(options: Options): Store {
  const { nodes: all, allowedCpus, allowedNodes } = topology();
  const cpusOf = new Map(
    all.filter(({ id }) => allowedNodes.has(id))
      .map(({ id, cpus }) => [id, cpus.intersection(allowedCpus).size] as const)
      .filter(([, cpus]) => cpus > 0),
  );
  const nodes = [...cpusOf.keys()];
  const each = Math.ceil(options.vectors / nodes.length);
  const { memories, close } = partsFor(nodes, each, options);
  const parts = nodes.map((node, index): Part => ({ node, memory: memories[index]! }));
  const slices = nodes.flatMap((node, index) => {
    const count = Math.max(0, Math.min(each, options.vectors - index * each));
    const step = Math.ceil(count / cpusOf.get(node)!);
    const starts = Array.from({ length: Math.ceil(count / step) }, (_, slice) => slice * step);
    return starts.map((at): Slice => ({
      ...{ node, at },
      ...{ first: index * each + at, count: Math.min(step, count - at) },
    }));
  });
  return { parts, slices, close };
}
