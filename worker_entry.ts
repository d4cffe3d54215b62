/**
 * The first module of every thread that `launch` starts.
 *
 * Programs do not import it, except for a bundle's `worker_entry.js`.
 *
 * @module
 */
import * as all from "./mod.ts";
import { runEntry } from "./lib/sched/entry.ts";
import { POOL_WORKER } from "./lib/tasks/pool/pool_messages.ts";
import { poolWorker } from "./lib/tasks/pool/pool_worker.ts";

// Everything, because every kind of object may be in the arguments: a bundler leaves out what is not used.
runEntry(all, { [POOL_WORKER]: poolWorker });
