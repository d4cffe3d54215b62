import { TaskPool } from "@numakit/numakit";
import { type Found, merge } from "./best.ts";
import type { Options } from "./options.ts";
import { createStore, type Store } from "./store.ts";

type Tasks = typeof import("./tasks.ts");

/** A pool has no more. */
const MOST_THREADS = 256;

/** Vectors on all nodes, and a worker for each CPU, which searches what is on its own node. */
export class VectorIndex {
  readonly #store: Store;
  readonly #pool: TaskPool<Tasks>;

  private constructor(store: Store, pool: TaskPool<Tasks>) {
    this.#store = store;
    this.#pool = pool;
  }

  /** Creates an index, and fills it. */
  static async create(options: Options): Promise<VectorIndex> {
    const store = createStore(options);
    const module = new URL("./tasks.ts", import.meta.url);
    const threads = Math.min(MOST_THREADS, store.slices.length);
    const pool = await TaskPool.create<Tasks>(module, { per: "cpu", threads });
    await pool.broadcast("open", [store.parts]);
    await Promise.all(store.slices.map((slice) => pool.run("fill", [slice], { near: slice.node })));
    return new VectorIndex(store, pool);
  }

  /** Finds the vectors that are most like a query: each slice's where it is, and of these the best. */
  async search(query: Float32Array, most: number): Promise<Found> {
    const found = await Promise.all(
      this.#store.slices.map((slice) =>
        this.#pool.run("search", [slice, query, most], { near: slice.node })
      ),
    );
    return merge(found, most);
  }

  async close(): Promise<void> {
    await this.#pool.close();
    this.#store.close();
  }
}
