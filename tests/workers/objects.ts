// What tests/memory/slab_test.ts and tests/memory/node_pool_test.ts run in threads: the argument says which.
import { worker } from "../../mod.ts";
import { NodePool } from "../../lib/memory/objects/node_pool.ts";
import { Slab } from "../../lib/memory/objects/slab.ts";
import { churnPool, churnSlab, type Exchange } from "../support/churn.ts";

export interface ObjectTask {
  readonly task: string;
  readonly slab?: Slab;
  readonly pool?: NodePool;
  readonly nested?: { readonly deep: readonly (Slab | NodePool)[] };
  readonly handle?: ReturnType<Slab["toHandle"]>;
  readonly exchange?: Exchange;
  readonly ids?: readonly number[];
  readonly count?: number;
  readonly seed?: number;
  /** Whether it never comes back to its event loop. */
  readonly busy?: boolean;
}

const tasks = {
  allocMany({ slab, count = 0 }: ObjectTask): number[] {
    return Array.from({ length: count }, () => slab?.alloc() ?? -1);
  },
  freeMany({ slab, pool, ids = [] }: ObjectTask): void {
    for (const id of ids) (slab ?? pool)?.free(id);
    (slab ?? pool)?.flush();
  },
  /** Ends without a flush or destroy. */
  freeAndLeave({ slab, ids = [] }: ObjectTask): void {
    for (const id of ids) slab?.free(id);
  },
  allocAndDestroy({ slab, count = 0 }: ObjectTask): number[] {
    const ids = Array.from({ length: count }, () => slab?.alloc() ?? -1);
    slab?.destroy();
    return ids;
  },
  poolAlloc({ pool, count = 0 }: ObjectTask): number[] {
    return Array.from({ length: count }, (_, index) => {
      const id = pool?.alloc(1 + index * 37 % 5000) ?? -1;
      pool?.view(id).fill(index & 255);
      return id;
    });
  },
  identity({ slab, pool, nested }: ObjectTask): boolean {
    return nested?.deep[0] === slab && nested?.deep[1] === pool && slab instanceof Slab &&
      pool instanceof NodePool;
  },
  attach({ handle, exchange }: ObjectTask): void {
    while (exchange !== undefined && Atomics.load(exchange.stop, 0) === 0);
    Slab.fromHandle(handle as never);
  },
  churnSlab: ({ slab, exchange, seed = 0, busy = false }: ObjectTask) =>
    churnSlab(slab as Slab, exchange as Exchange, seed, busy),
  churnPool: ({ pool, exchange, seed = 0, busy = false }: ObjectTask) =>
    churnPool(pool as NodePool, exchange as Exchange, seed, busy),
};

export default worker((task: ObjectTask): unknown => tasks[task.task as keyof typeof tasks](task));
