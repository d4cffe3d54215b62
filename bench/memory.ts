/**
 * What memory costs: arena.alloc against what JavaScript and C offer instead.
 */
import { Arena, currentCpu, currentNode } from "../mod.ts";
import { benchLibrary, inC } from "./native.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { inOwnThread } from "./threads.ts";
import type { AllocationsTask, Way } from "./workers/allocations.ts";

const BATCH = 4000;
const C_COUNT = 400_000;
const ALIVE = 1000;
const CREATE_BYTES = 2 ** 30;
/** A GiB takes a good part of a second. */
const CREATE_REPEATS = 2;

function inThread(name: string, way: Way, size: number): Subject {
  return inOwnThread(name, "allocations.ts", { way, size } satisfies AllocationsTask);
}

/** Makes a large arena, and unmaps it outside of the time. */
function createSubject(bytes: number): Subject {
  return {
    name: `Arena.create(${bytes / 2 ** 20} MiB)`,
    repeats: CREATE_REPEATS,
    self(): number {
      const start_ms = performance.now();
      const arena = Arena.create({ node: 0, size: bytes });
      const taken_ms = performance.now() - start_ms;
      arena.destroy();
      return taken_ms * 1e6;
    },
  };
}

/**
 * The comparisons of the suite.
 *
 * @returns What memory costs, each row in a thread of its own; where the thread is.
 */
export function comparisons(): Comparison[] {
  const c = benchLibrary();
  const sizes = [64, 1024].flatMap((size): Comparison[] => [
    {
      name: `an offset of ${size} B`,
      subjects: [
        inThread(`arena.alloc(${size})`, "offset", size),
        inC(`C bump allocator, ${size} B`, (out) => c.bench_bump(C_COUNT, size, out)),
        inC(`C malloc+free, ${size} B`, (out) => c.bench_malloc_pair(C_COUNT, size, out)),
        inC(
          `C malloc+free, ${size} B, ${ALIVE} alive`,
          (out) => c.bench_malloc_alive(C_COUNT, size, ALIVE, out),
        ),
      ],
    },
    {
      name: `a view of ${size} B with anything in it`,
      subjects: [
        inThread(`arena.allocUint8(${size})`, "view", size),
        inThread(`Buffer.allocUnsafe(${size})`, "buffer", size),
      ],
    },
    {
      name: `a view of ${size} B of zeros`,
      subjects: [
        inThread(`arena.allocUint8(${size}).fill(0)`, "zeros", size),
        inThread(`new Uint8Array(${size})`, "array", size),
        inThread(`new Uint8Array(${size}), ${ALIVE} alive`, "alive", size),
      ],
    },
  ]);
  const where: Comparison = {
    name: "where am I",
    subjects: [
      {
        name: "currentNode()",
        operations: BATCH,
        batch(): void {
          let sum = 0;
          for (let index = 0; index < BATCH; index++) sum += currentNode();
          sink.value = sum;
        },
      },
      {
        name: "currentCpu()",
        operations: BATCH,
        batch(): void {
          let sum = 0;
          for (let index = 0; index < BATCH; index++) sum += currentCpu();
          sink.value = sum;
        },
      },
      inC("C sched_getcpu()", (out) => c.bench_getcpu(C_COUNT, out)),
    ],
  };
  const create: Comparison = {
    name: "make an arena of 1 GiB in small pages, bound and populated",
    subjects: [
      createSubject(CREATE_BYTES),
      {
        ...inC("C mmap+mbind+populate", (out) => c.bench_create(CREATE_BYTES, out)),
        repeats: CREATE_REPEATS,
      },
    ],
  };
  return [...sizes, where, create];
}
