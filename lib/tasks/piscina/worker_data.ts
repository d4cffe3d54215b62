/**
 * The module of a pool that runs files written for piscina: a name that stands for `piscina_file.ts`, and what its workers
 * are given.
 *
 * @module
 */

const MODULE = "numakit:piscina#";

/** By module: what workers of the pools that live are given. */
const given = /* @__PURE__ */ new Map<string, unknown>();
let count = 0;

/**
 * Makes such a module.
 *
 * @param workerData What its workers are given.
 * @returns Its name, a URL.
 */
export function piscinaModule(workerData: unknown): string {
  const url = `${MODULE}${++count}`;
  given.set(url, workerData);
  return url;
}

/**
 * Whether a module is one of these.
 *
 * @param url The module's URL.
 * @returns Whether it is.
 */
export function isPiscinaModule(url: string): boolean {
  return url.startsWith(MODULE);
}

/**
 * What the workers of a pool are given, in the thread that made it.
 *
 * @param url The pool's module.
 * @returns The data; undefined when there is none.
 */
export function workerDataOf(url: string): unknown {
  return given.get(url);
}

/**
 * Forgets a module.
 *
 * @param url The module.
 */
export function dropModule(url: string): void {
  given.delete(url);
}
