/**
 * The first module of every thread that `launch` starts.
 *
 * Programs do not import it, except for a bundle's `worker_entry.js`.
 *
 * @module
 */
// Everything, because every kind of object may be in the arguments.
import "./mod.ts";
import { runEntry } from "./lib/sched/entry.ts";

runEntry();
