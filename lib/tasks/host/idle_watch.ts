import type { PoolHost } from "./pool_host.ts";

/**
 * Lets workers go that have had nothing to do for a while, where there may be more than the least number.
 *
 * @param host The pool's thread.
 * @returns The timer that looks; undefined where the number does not change by itself.
 */
export function watchIdle(host: PoolHost): ReturnType<typeof setInterval> | undefined {
  const { settings, crew, core, done } = host;
  if (settings.min === settings.max) return undefined;
  /** How many results each worker had when the timer looked last. */
  const seen = new Float64Array(settings.max).fill(-1);
  const timer = setInterval(() => {
    host.drain();
    for (const worker of [...crew.live].reverse()) {
      const isIdle = done[worker] === seen[worker] && !core.runs(worker);
      seen[worker] = done[worker] as number;
      if (isIdle && crew.size > crew.least) host.dismiss(worker);
    }
  }, settings.idleMs);
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
