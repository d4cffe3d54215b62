/**
 * Scenes of tasks: what a pool's workers read, with `near` and without.
 */
import { NodeArray, TaskPool } from "../../mod.ts";
import { LINE, MIB, nodes, type Prepared, type Scene, type Variant } from "./scene.ts";

type Tasks = typeof import("./tasks.ts");

/** What each node has of the array. */
const PART_BYTES = MIB / 2;
/** Tasks that read it, one after the other. */
const TASKS = 64;
const ELEMENTS = PART_BYTES / 8;

/** On each node a part of an array, and one task after the other that reads some of it: together all of it, once. */
async function prepare(placed: boolean): Promise<Prepared> {
  const all = nodes();
  const array = NodeArray.create({ type: "float64", length: all.length * ELEMENTS, nodes: all });
  array.fill(1);
  const pool = await TaskPool.create<Tasks>(new URL("./tasks.ts", import.meta.url), {
    threads: all.length,
    per: "node",
  });
  // Code is compiled, and the array attached, in each worker.
  await pool.broadcast("readSome", [array, 0, 0, 0]);
  const step = ELEMENTS / TASKS;
  const readPart = async ({ part, node }: { part: number; node: number }): Promise<void> => {
    for (let from = 0; from < ELEMENTS; from += step) {
      const near = placed ? { near: node } : {};
      await pool.run("readSome", [array, part, from, from + step], near);
    }
  };
  const ranges = array.partitions().map(({ part, view }) =>
    [`part ${part}`, new Uint8Array(view.buffer, view.byteOffset, view.byteLength)] as const
  );
  return {
    jobs: [],
    run: () => Promise.all(array.partitions().map(readPart)),
    ranges: Object.fromEntries(ranges),
    operations: all.length * PART_BYTES / LINE,
    end: async () => {
      await pool.close();
      array.destroy();
    },
  };
}

function variant(name: string, placed: boolean): Variant {
  return { name, ours: placed, make: () => prepare(placed) };
}

/** The scenes. */
export function taskScenes(): Scene[] {
  return [{
    name: "tasks of a pool, each on a part of an array on all nodes",
    operation: "a line read",
    variants: [
      variant("TaskPool, near", true),
      variant("TaskPool without near", false),
    ],
  }];
}
