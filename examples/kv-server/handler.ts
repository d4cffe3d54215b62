/**
 * What requests mean, whatever the values are kept in.
 *
 *     GET    /kv/KEY           the value, or 404
 *     PUT    /kv/KEY?ttl=MS    sets it, for as many milliseconds; without ttl, until there is no more room for it
 *     DELETE /kv/KEY           204, or 404
 *     GET    /stats            what was counted, as JSON
 */
import { NumaError } from "@numakit/numakit";
import type { Answer, Call, Handler } from "./http.ts";

/** What values are kept in: a `Cache` of numakit, or what it is compared with. */
export interface Store {
  get(key: string): Found | Promise<Found>;
  set(key: string, value: Uint8Array, options?: { readonly ttlMs?: number }): unknown;
  delete(key: string): boolean | Promise<boolean>;
  stats(): unknown;
}

type Found = Uint8Array<ArrayBuffer> | undefined;

/** The longest body that is read. What a cache takes depends on its size, and is less. */
const MAX_BYTES = 2 ** 20;

/** Makes the handler of a worker. */
export function handlerOf(store: Store, worker: number): Handler {
  const headers = { "x-worker": String(worker) };
  const answer = (status: number, body?: Answer["body"]): Answer => ({ status, headers, body });

  async function value({ method, length, body }: Call, key: string, ttl: string | null) {
    if (method === "GET") {
      const found = await store.get(key);
      return found === undefined ? answer(404) : answer(200, found);
    }
    if (method === "DELETE") return answer(await store.delete(key) ? 204 : 404);
    if (method !== "PUT") return answer(405);
    if (length === undefined) return answer(411);
    if (length > MAX_BYTES) return answer(413);
    const bytes = await body();
    if (bytes === undefined) return answer(400);
    await store.set(key, bytes, ttl === null ? {} : { ttlMs: Number(ttl) });
    return answer(204);
  }

  return async (call) => {
    try {
      const { pathname, searchParams } = new URL(call.url);
      if (pathname.startsWith("/kv/")) {
        return await value(call, decodeURIComponent(pathname.slice(4)), searchParams.get("ttl"));
      }
      if (pathname !== "/stats" || call.method !== "GET") return answer(404);
      return answer(200, `${JSON.stringify({ worker, ...await store.stats() as object })}\n`);
    } catch (error) {
      // A key or value that is too long, a ttl that is no number, an escape that is none.
      const isTheirs = error instanceof URIError ||
        (error instanceof NumaError && error.code === "EINVAL");
      if (!isTheirs) console.error(error);
      return answer(isTheirs ? 400 : 500, `${(error as Error).message}\n`);
    }
  };
}
