import { NumaError } from "../../base/error.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { inheritTopology } from "../../topology/load.ts";
import { Topology } from "../../topology/topology.ts";
import {
  type Birth,
  flatten,
  flattenBinding,
  type Machine,
  type Move,
  type Moved,
  unflattenWish,
} from "../message.ts";
import { ownPlace, setOwnPlace, settle } from "../binding/pin.ts";

/** The launcher sees another machine. */
function look({ topology, home }: Machine): void {
  inheritTopology(Topology.from(topology));
  const own = ownPlace();
  if (own.mask !== undefined) setOwnPlace({ ...own, home: CpuSet.parse(home) });
}

/**
 * Does in a worker what its launcher tells it to do.
 *
 * @param message What it tells.
 * @param birth What the worker was born with.
 * @returns The answer, if there is one.
 */
export function obey(message: Move | Machine, birth: Birth): Moved | undefined {
  if (message.type === "machine") {
    look(message);
    return undefined;
  }
  const { serial, wish, home } = message;
  // There has been another move since.
  if (Atomics.load(birth.moves, 0) !== serial) return undefined;
  try {
    const binding = settle(unflattenWish(wish), CpuSet.parse(home));
    return { type: "moved", serial, binding: flattenBinding(binding), error: undefined };
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    return { type: "moved", serial, binding: undefined, error: flatten(error) };
  }
}
