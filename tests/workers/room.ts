// Makes arenas at the same moment as other threads do. What tests/modules/room.ts runs twice.
import { Arena, NumaError, worker } from "../../mod.ts";

export interface RoomTask {
  /** How many have come to the gate, in all rounds. */
  readonly gate: Int32Array<SharedArrayBuffer>;
  readonly threads: number;
  readonly rounds: number;
  /** Bytes of each arena. */
  readonly size: number;
  readonly reserve?: number;
}

const body: (task: RoomTask) => string[] = ({ gate, threads, rounds, size, reserve }) => {
  const meet = (turn: number): void => {
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < turn * threads) Atomics.wait(gate, 1, 0, 1);
  };
  return Array.from({ length: rounds }, (_, round) => {
    let arena: Arena | undefined;
    meet(2 * round + 1);
    try {
      arena = reserve === undefined
        ? Arena.create({ node: 0, size })
        : Arena.create({ node: 0, size: 4096, reserve });
      if (reserve !== undefined) arena.grow(size);
      return "made";
    } catch (error) {
      return error instanceof NumaError ? error.code : String(error);
    } finally {
      meet(2 * round + 2);
      arena?.destroy();
    }
  });
};

export default worker(body);
