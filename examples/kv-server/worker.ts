import { type Cache, worker } from "@numakit/numakit";
import { runWorker, type WorkerArgs } from "./cluster.ts";

type Args = WorkerArgs & { readonly cache: Cache<string, Uint8Array<ArrayBuffer>> };

// Any worker gets what any other has put: reads take no lock, and nobody is asked.
export default worker(({ cache, ...args }: Args) => runWorker(cache, args));
