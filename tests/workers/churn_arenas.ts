import { Arena, worker } from "../../mod.ts";

/** Creates and destroys arenas while other threads do; returns how many had a view that lived on. */
export default worker(({ rounds }: { rounds: number }): number => {
  let alive = 0;
  for (let round = 0; round < rounds; round++) {
    const arena = Arena.create({ node: 0, size: 4096 });
    const view = arena.allocInt32(16);
    arena.destroy();
    if (view.length > 0) alive++;
  }
  return alive;
});
