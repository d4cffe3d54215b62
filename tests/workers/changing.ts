// What tests/memory/memory_looks_test.ts and tests/memory/binding_test.ts run in threads: memory that changes while others look.
import { Arena, bind, interleave, worker } from "../../mod.ts";

export interface ChangingTask {
  readonly task: "trim" | "destroy" | "bind";
  /** Word 0: how many have begun. Word 1: 1 says stop. */
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly arena?: Arena;
  readonly buffer?: SharedArrayBuffer;
}

const STEP = 2 ** 18;

function trim(arena: Arena): void {
  arena.grow(STEP);
  arena.alloc(STEP / 2);
  arena.trim();
  arena.grow(3 * STEP);
  arena.reset();
  arena.trim();
}

function destroy(): void {
  using first = Arena.create({ node: 0, size: STEP, label: "passing" });
  using second = Arena.create({ node: 0, size: 4096, label: "passing" });
  first.alloc(16);
  second.alloc(16);
}

function bindInTurn(buffer: SharedArrayBuffer): void {
  const half = buffer.byteLength / 2;
  const binding = bind(buffer, { node: 0 });
  using _spread = interleave(new Uint8Array(buffer, half / 2, half), { nodes: [0] });
  binding.release();
}

export default worker(({ task, control, arena, buffer }: ChangingTask): number => {
  Atomics.add(control, 0, 1);
  let rounds = 0;
  for (; Atomics.load(control, 1) === 0; rounds++) {
    if (task === "trim" && arena !== undefined) trim(arena);
    else if (task === "bind" && buffer !== undefined) bindInTurn(buffer);
    else destroy();
  }
  return rounds;
});
