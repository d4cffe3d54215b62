/**
 * Which run found which mutant out the last time (`deaths.json`). That run is tried first, so a mutant costs milliseconds;
 * where it does not find it out any more, because the program is another one now, the mutant is searched for as ever.
 *
 * @module
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Death, Job } from "./jobs.ts";
import type { Mutant, Spec } from "./spec.ts";

const FILE = new URL("./deaths.json", import.meta.url);

/** A mutant's name, or its patch. */
function titleOf({ name, find, replace }: Mutant): string {
  return name ?? `${find} -> ${replace}`;
}

/** What is known from earlier runs. */
export class Deaths {
  /** By spec and mutant: the case, and the choices behind the last slash. */
  readonly #known: Record<string, Record<string, string>> = existsSync(FILE)
    ? JSON.parse(readFileSync(FILE, "utf8"))
    : {};

  /** The run that found a mutant out the last time. */
  of(spec: Spec, mutant: Mutant): Death | undefined {
    const text = this.#known[spec.name]?.[titleOf(mutant)];
    if (text === undefined) return undefined;
    const slash = text.lastIndexOf("/");
    return { case: text.slice(0, slash - 1), choices: text.slice(slash + 1).trim() };
  }

  /** Keeps the runs that found mutants out; what is kept of other specs stays. */
  record(
    found: readonly (readonly [{ readonly spec: Spec; readonly job: Job }, Death | undefined])[],
  ): void {
    for (const name of new Set(found.map(([{ spec }]) => spec.name))) this.#known[name] = {};
    for (const [{ spec, job }, death] of found) {
      const mutant = spec.mutants[job.index];
      if (mutant === undefined || death === undefined) continue;
      (this.#known[spec.name] ??= {})[titleOf(mutant)] = `${death.case} / ${death.choices}`.trim();
    }
    const sorted = Object.entries(this.#known).sort(([one], [other]) => one < other ? -1 : 1);
    writeFileSync(FILE, `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
  }
}
