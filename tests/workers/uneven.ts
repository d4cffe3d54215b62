// What tests/numa/uneven_nodes_test.ts runs in threads that are pinned to a node.
import { currentNode, type NodePool, type Slab, worker } from "../../mod.ts";

export interface UnevenTask {
  readonly pool?: NodePool;
  readonly slab?: Slab;
  /** Objects to allocate, of this size. */
  readonly count?: number;
  readonly size?: number;
  /** Objects of any node to free. */
  readonly ids?: readonly number[];
}

/** What the thread did. */
export interface UnevenReport {
  readonly node: number;
  readonly ids: readonly number[];
}

const body: (task: UnevenTask) => UnevenReport = (
  { pool, slab, count = 0, size = 64, ids = [] },
) => {
  const node = currentNode();
  const taken = Array.from({ length: count }, () => {
    const id = pool?.alloc(size) ?? slab?.alloc() ?? -1;
    (pool ?? slab)?.view(id).fill(node + 1);
    return id;
  });
  for (const id of ids) (pool ?? slab)?.free(id);
  (pool ?? slab)?.flush();
  return { node, ids: taken };
};

export default worker(body);
