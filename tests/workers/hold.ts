import { Arena, worker } from "../../mod.ts";

export default worker(({ gate }: { gate: Int32Array<SharedArrayBuffer> }): void => {
  using arena = Arena.create({ node: 0, size: "64 KiB", label: "elsewhere" });
  arena.alloc(4096);
  Atomics.store(gate, 0, 1);
  Atomics.wait(gate, 1, 0, 30_000);
});
