// Makes arenas at the same moment as other threads do. What tests/modules/room.ts runs twice.
import { Arena, NumaError, sharedBuffer, worker } from "../../mod.ts";

export interface RoomTask {
  /** How many have come to the gate, in all rounds. */
  readonly gate: Int32Array<SharedArrayBuffer>;
  readonly threads: number;
  readonly rounds: number;
  /** What each of them takes. */
  readonly what: "arena" | "growth" | "buffer";
  /** Its bytes. */
  readonly size: number;
}

const body: (task: RoomTask) => string[] = ({ gate, threads, rounds, what, size }) => {
  const take = {
    arena: () => Arena.create({ node: 0, size }),
    growth: () => {
      const arena = Arena.create({ node: 0, size: 4096, reserve: 2 ** 32 });
      arena.grow(size - 4096);
      return arena;
    },
    buffer: () => sharedBuffer({ node: 0, size }),
  };
  const meet = (turn: number): void => {
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < turn * threads) Atomics.wait(gate, 1, 0, 1);
  };
  return Array.from({ length: rounds }, (_, round) => {
    let taken: Disposable | undefined;
    meet(2 * round + 1);
    try {
      taken = take[what]();
      return "made";
    } catch (error) {
      return error instanceof NumaError ? error.code : String(error);
    } finally {
      meet(2 * round + 2);
      taken?.[Symbol.dispose]();
    }
  });
};

export default worker(body);
