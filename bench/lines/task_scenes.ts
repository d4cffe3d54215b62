/**
 * Scenes of tasks: what a pool's workers read, with `near` and without.
 */
import { NodeArray, TaskPool } from "../../mod.ts";
import { LINE, MIB, nodes, type Prepared, type Scene, type Variant } from "./scene.ts";

type Tasks = typeof import("./tasks.ts");

/** What each node has of the array. */
const PART_BYTES = MIB / 2;
/** Tasks that each caller has done, one after the other. */
const TASKS = 64;
const ELEMENTS = PART_BYTES / 8;

/**
 * On each node a part of an array, and as many callers as parts, each with one task after the other. A caller goes from
 * part to part with each task, and all parts are read once: the worker that has ended a caller's task often gets its next
 * one, and would otherwise stay with one part, near or far by luck.
 */
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
  const parts = array.partitions();
  const callOften = async (caller: number): Promise<void> => {
    for (let task = 0; task < TASKS; task++) {
      const { part, node } = parts[(caller + task) % parts.length] as typeof parts[number];
      const near = placed ? { near: node } : {};
      await pool.run("readSome", [array, part, task * step, (task + 1) * step], near);
    }
  };
  const ranges = parts.map(({ part, view }) =>
    [`part ${part}`, new Uint8Array(view.buffer, view.byteOffset, view.byteLength)] as const
  );
  return {
    jobs: [],
    run: () => Promise.all(parts.keys().map(callOften)),
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
