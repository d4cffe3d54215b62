/** Threads that have not been joined yet. */
export const unjoined: Set<{ join(): Promise<unknown> }> = /* @__PURE__ */ new Set();

/**
 * Waits for every thread of this one that has not been joined yet.
 *
 * @returns Their results, in the order of their launch.
 * @throws What the first of them, in that order, threw; all have ended by then.
 *
 * @example
 * ```ts
 * import { joinAll, launch } from "@numakit/numakit";
 *
 * const module = "data:text/javascript,export default (n) => n * n";
 * for (const n of [1, 2, 3]) launch<number>(module, { args: n });
 * console.log(await joinAll()); // [ 1, 4, 9 ]
 * ```
 */
export async function joinAll(): Promise<unknown[]> {
  const outcomes = await Promise.allSettled([...unjoined].map((thread) => thread.join()));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
