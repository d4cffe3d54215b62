/**
 * The first module of every thread that `launch` starts. Not for importing.
 *
 * @module
 */
// All of numakit, so that every kind of object in the arguments can come to life.
import "./mod.ts";
import { runEntry } from "./lib/sched/entry.ts";

runEntry();
