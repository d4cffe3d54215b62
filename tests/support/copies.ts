import { Arena, type Handle } from "../../mod.ts";
import { native } from "../../lib/runtime/native.ts";
import type { Shareable } from "../../mod.ts";
import { bytesByNode, readNumaMaps } from "./numa_maps.ts";

/** The arenas of something that has one on each of several nodes. */
export function arenasOf(object: Shareable, field: string): Arena[] {
  const data = object.toHandle().data as Record<string, Handle[]>;
  return (data[field] ?? []).map((handle) => Arena.fromHandle(handle));
}

/** The nodes that an arena's pages are on, as numa_maps has them at its address. */
export function nodesInMaps(arena: Arena): number[] {
  const { identity } = arena.toHandle().data as { identity: number };
  // Longer than what the helper writes: no runtime would notice if it were shorter.
  const out = new BigUint64Array(64);
  // The thread holds it already: this tells the address once more.
  native().calls.nk_mapping_attach(identity, out);
  const begin = Number(out[1]);
  const end = begin + Number(out[2]) + Number(out[3]);
  const maps = readNumaMaps().sort((a, b) => a.address - b.address);
  // A line goes up to the next one's address at most; neighbours with one policy may share a line.
  const lines = maps.filter(({ address }, index) =>
    address < end && (maps[index + 1]?.address ?? Infinity) > begin
  );
  return [...bytesByNode(lines).keys()];
}

/** For each copy's buffer in this thread, the node where all of its pages are; -1 for anything else. */
export function nodesOfCopies(replicated: Shareable): Map<ArrayBuffer, number> {
  return new Map(
    arenasOf(replicated, "copies").map((arena) => {
      const nodes = nodesInMaps(arena);
      const [node = -1] = nodes;
      return [arena.bytes.buffer, nodes.length === 1 ? node : -1];
    }),
  );
}
