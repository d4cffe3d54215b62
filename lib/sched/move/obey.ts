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
import { hearHome, homeWithin, ownPlace, setOwnPlace, settle } from "../binding/pin.ts";

/** The launcher sees another machine. */
function look({ topology, home }: Machine): void {
  inheritTopology(Topology.from(topology));
  const own = ownPlace();
  const now = homeWithin(CpuSet.parse(home));
  if (own.mask !== undefined) setOwnPlace({ ...own, home: now });
  hearHome(CpuSet.parse(home));
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
    const now = homeWithin(CpuSet.parse(home));
    hearHome(CpuSet.parse(home));
    const binding = settle(unflattenWish(wish), now);
    return { type: "moved", serial, binding: flattenBinding(binding), error: undefined };
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    return { type: "moved", serial, binding: undefined, error: flatten(error) };
  }
}
