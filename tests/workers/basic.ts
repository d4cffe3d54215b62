// What tests/sched/thread_test.ts runs in threads: the argument says which.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, currentCpu, currentNode, NumaError, topology, worker } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";

export interface Task {
  readonly task: string;
  readonly arena?: Arena;
  readonly nested?: { readonly arenas: readonly Arena[]; readonly map: Map<string, Arena> };
  readonly started?: Int32Array<SharedArrayBuffer>;
  readonly handle?: ReturnType<Arena["toHandle"]>;
}

const tasks = {
  where: () => ({
    affinity: threadAffinity().toString(),
    cpu: currentCpu(),
    node: currentNode(),
    machine: topology().toJSON(),
  }),
  fill({ arena }: Task): number {
    const data = arena?.allocInt32(1024) ?? new Int32Array();
    data.fill(42);
    return data.byteOffset;
  },
  identity({ nested }: Task) {
    const [first, second] = nested?.arenas ?? [];
    return first === second && first === nested?.map.get("same") && first instanceof Arena;
  },
  makeArena() {
    const arena = Arena.create({ node: 0, size: 4096 });
    arena.allocUint8(4).set([1, 2, 3, 4]);
    return { made: [arena] };
  },
  throwError() {
    throw new RangeError("out of the worker");
  },
  throwNuma() {
    throw new NumaError("EBUSY", "do it", { why: "no", fix: "Wait.", node: 3, syscall: "futex" });
  },
  throwText() {
    throw "just text";
  },
  throwNothing() {
    throw undefined;
  },
  throwObject() {
    throw Object.assign(Object.create(null), { toString: 5 });
  },
  returnFunction: () => () => {},
  leaveEarly() {
    process.exit(3);
  },
  async hang({ arena, started }: Task) {
    arena?.alloc(16);
    if (started !== undefined) Atomics.store(started, 0, 1);
    for (;;) await sleep(1000);
  },
  spin({ arena, started }: Task) {
    arena?.alloc(16);
    if (started !== undefined) Atomics.store(started, 0, 1);
    // Ends by itself, for the runtime that cannot stop it.
    const end = performance.now() + 2000;
    while (performance.now() < end);
  },
  async useAfter({ arena, started }: Task) {
    const data = arena?.allocInt32(16) as Int32Array;
    data.fill(5);
    if (started === undefined) return;
    Atomics.store(started, 0, 1);
    while (Atomics.load(started, 0) !== 2) await sleep(1);
    // The launcher has destroyed its arena; ours is alive until we say so.
    const sum = data.reduce((total, value) => total + value, 0);
    arena?.destroy();
    return [sum, data.length];
  },
  async attachLate({ handle, started }: Task) {
    while (started !== undefined && Atomics.load(started, 0) !== 1) await sleep(1);
    Arena.fromHandle(handle as never);
  },
  transferAway({ arena }: Task) {
    const buffer = arena?.bytes.buffer as ArrayBuffer;
    return structuredClone(buffer, { transfer: [buffer] }).byteLength;
  },
  timers() {
    setInterval(() => {}, 1000);
    return "done";
  },
};

export default worker((task: Task): unknown => tasks[task.task as keyof typeof tasks](task));
