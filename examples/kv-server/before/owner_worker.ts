import { worker } from "@numakit/numakit";
import type { MessagePort } from "node:worker_threads";
import { runWorker, type WorkerArgs } from "../cluster.ts";
import type { Store } from "../handler.ts";

export interface Question {
  readonly id: number;
  readonly what: keyof Store;
  readonly args: readonly unknown[];
}

export interface Reply {
  readonly id: number;
  readonly result: unknown;
}

/** Asks the thread that has the map. */
function storeOf(owner: MessagePort): Store {
  const waiting = new Map<number, (result: unknown) => void>();
  let last = 0;
  owner.on("message", ({ id, result }: Reply) => {
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  const ask = (what: keyof Store, ...args: unknown[]): Promise<never> =>
    new Promise((resolve) => {
      const id = ++last;
      waiting.set(id, resolve as (result: unknown) => void);
      owner.postMessage({ id, what, args } satisfies Question);
    });
  return {
    get: (key) => ask("get", key),
    set: (key, value, options) => ask("set", key, value, options),
    delete: (key) => ask("delete", key),
    stats: () => ask("stats"),
  };
}

type Args = WorkerArgs & { readonly owner: MessagePort };

export default worker(async ({ owner, ...args }: Args) => {
  await runWorker(storeOf(owner), args);
  owner.close();
});
