/**
 * The runtime's shared threads, kept off the CPUs that threads are pinned to.
 *
 * @module
 */
import { builtin } from "../runtime/builtin.ts";
import { errnoError } from "../base/errno.ts";
import { native } from "../runtime/native.ts";
import { homeAffinity, isPinned } from "./pin.ts";

/** How long a shared thread that a pinned one has started may stay where that one is, in milliseconds. */
const WATCH_MS = 250;

let isStarted = false;
let watched = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Lets shared threads that a pinned one has started run where the process may. */
function widen(): void {
  const mask = homeAffinity().toMask();
  const names = new TextEncoder().encode(`${native().helpers.late.join("\0")}\0\0`);
  const result = native().calls.nk_threads_widen(mask, mask.length, names);
  if (result >= 0) return;
  // Nobody is there to catch an error.
  clearInterval(timer);
  builtin("node:process").emitWarning(
    errnoError(result, "nk_threads_widen", "let the runtime's threads run on all CPUs"),
  );
}

/**
 * Keeps the runtime's shared threads off a pinned thread's CPUs, from before its start until its end.
 *
 * They are started now, so that they are not born in the pinned thread, with its CPUs and its memory policy. Some runtimes
 * start others later; those get the CPUs back, but nobody can take another thread's memory policy from it.
 *
 * @returns To be called when the pinned thread has ended.
 */
export function spareHelpers(): () => void {
  const { helpers } = native();
  // What a pinned thread would start now was started by the one that pinned it.
  if (!isStarted && !isPinned()) helpers.start();
  isStarted = true;
  if (helpers.late.length === 0) return () => {};
  if (watched++ === 0) {
    timer = setInterval(widen, WATCH_MS);
    timer.unref();
  }
  return () => {
    if (--watched === 0) clearInterval(timer);
    widen();
  };
}
