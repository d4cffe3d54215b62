/**
 * hwloc describes another machine than the one it runs on where variables in the environment tell it to: administrators
 * set HWLOC_XMLFILE for a whole system, to spare programs the look at it, and it outlives the machine it was made on.
 *
 * @module
 */
import { readEnv } from "../runtime/env.ts";
import type { Topology } from "./topology.ts";

/** In the order in which hwloc looks for them; the last two are why only where none of the others is set. */
const VARIABLES = [
  "HWLOC_FSROOT",
  "HWLOC_CPUID_PATH",
  "HWLOC_SYNTHETIC",
  "HWLOC_XMLFILE",
  "HWLOC_COMPONENTS",
  "HWLOC_THISSYSTEM",
] as const;
/** The variables that alone can have led to a source. */
const OF_SOURCE: Readonly<Record<string, (typeof VARIABLES)[number]>> = {
  synthetic: "HWLOC_SYNTHETIC",
};

/**
 * The variable that made hwloc describe another machine.
 *
 * @param source Where the description came from.
 * @returns Its name; `"HWLOC_*"` where the environment may not be read.
 */
export function standInVariable(source: string): string {
  const first = VARIABLES.find((name) => readEnv(name) !== undefined);
  return first ?? OF_SOURCE[source] ?? "HWLOC_*";
}

/**
 * Says of a machine that it stands in for the one that the process is on.
 *
 * @param topology The machine.
 * @returns A sentence; undefined where it does not.
 */
export function standInText({ snapshot: { variable } }: Topology): string | undefined {
  if (variable === undefined) return undefined;
  const set = variable.includes("*")
    ? `a variable ${variable}, which may not be read, is set`
    : `${variable} is set`;
  return `NOT THIS MACHINE: ${set}, and hwloc shows another machine because of it. Unset it to see this one.`;
}
