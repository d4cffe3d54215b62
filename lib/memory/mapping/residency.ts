import { errnoError } from "../../base/errno.ts";
import { native } from "../../runtime/native.ts";
import { MAX_NODES } from "../../topology/nodes.ts";

/** Where the pages of a range are. */
export interface Residency {
  /** The size of a counted page in bytes. */
  readonly pageBytes: number;
  /** Pages in the range. */
  readonly pages: number;
  /** The number of pages by node, without nodes that have none. */
  readonly nodes: ReadonlyMap<number, number>;
  /** Pages that are not resident. */
  readonly absent: number;
}

/** What to ask about. */
export interface ResidencyRequest {
  /** The mapping. The calling thread holds it. */
  readonly identity: number;
  /** The first byte of its data: where a page begins. */
  readonly from: number;
  /** The byte behind the last. */
  readonly to: number;
  /** Bytes of the pages that the kernel counts. */
  readonly pageBytes: number;
}

/** One call asks about at most so much: a GiB takes 45 ms, and a thread in C is out of its runtime's reach. */
const STEP_BYTES = 2 ** 30;

/**
 * Asks the kernel where the pages of a mapping are.
 *
 * @param request What to ask about.
 * @param action What was asked, as it follows "Cannot".
 * @returns Pages by node, of what is committed when the kernel is asked.
 * @throws {NumaError} `ESTALE`, `EPERM`.
 */
export function askResidency(request: ResidencyRequest, action: string): Residency {
  const { identity, from, to, pageBytes } = request;
  const { nk_mapping_residency } = native().calls;
  const counts = new Int32Array(MAX_NODES + 1);
  const nodes = new Map<number, number>();
  let pages = 0;
  let absent = 0;
  for (let offset = from; offset < to; offset += STEP_BYTES) {
    const bytes = Math.min(STEP_BYTES, to - offset);
    const result = nk_mapping_residency(identity, offset, bytes, counts, MAX_NODES);
    if (result < 0) throw errnoError(result, "nk_mapping_residency", action);
    pages += result;
    absent += counts[MAX_NODES] as number;
    for (let node = 0; node < MAX_NODES; node++) {
      const count = counts[node] as number;
      if (count > 0) nodes.set(node, (nodes.get(node) ?? 0) + count);
    }
  }
  return { pageBytes, pages, nodes, absent };
}
