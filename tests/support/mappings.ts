import { native } from "../../lib/runtime/native.ts";

/** The C helper's mappings in this process: those in use, and those that wait to be given back. */
export function mappingStats(): { live: number; retired: number } {
  const out = new BigUint64Array(4);
  native().calls.nk_mapping_stats(out);
  return { live: Number(out[0]), retired: Number(out[2]) };
}

/** How many mappings are in use. */
export function liveMappings(): number {
  return mappingStats().live;
}
