import { worker } from "@numakit/numakit";
import { runWorker, type WorkerArgs } from "../cluster.ts";
import { LruMap } from "./lru_map.ts";

type Args = WorkerArgs & { readonly capacity: number };

export default worker(({ capacity, ...args }: Args) => runWorker(new LruMap(capacity), args));
