/** The default export of a worker's module: a function of the launcher's `args`. */
export type WorkerFunction<Args, Result> = (args: Args) => Result | Promise<Result>;

/**
 * Marks a function as a thread's body. A worker's module has it as its default export.
 *
 * @param body Runs in the thread, pinned, with live objects in its argument. What it returns, live objects included,
 * is what `join()` gives.
 * @returns The same function.
 *
 * @example
 * ```ts
 * import { type Arena, currentNode, worker } from "@numakit/numakit";
 *
 * export default worker(({ arena }: { arena: Arena }) => {
 *   const data = arena.allocInt32(1024);
 *   data.fill(currentNode());
 *   return data.length;
 * });
 * ```
 */
export function worker<Args, Result>(
  body: WorkerFunction<Args, Result>,
): WorkerFunction<Args, Result> {
  return body;
}
