/**
 * Places of the calling thread for a while.
 *
 * Changes are *layers*: each remembers what was there before. The newest counts. When one is undone, what was there before
 * it comes back; where there is a newer one, nothing changes until that is undone, and then what was there before both
 * comes back. Layers are the thread's own, and end with it.
 *
 * @module
 */
import type { NumaError } from "../../base/error.ts";
import type { CpuSet } from "../../topology/cpu_set.ts";
import { threadAffinity } from "../../topology/load.ts";
import type { ThreadBinding } from "./binding.ts";
import {
  goHome,
  goHomePolicy,
  homeAffinity,
  isAway,
  isOwnAffinity,
  isSame,
  narrowing,
  type Own,
  ownPlace,
  pinThread,
  restorePolicy,
  type SavedPolicy,
  savePolicy,
  setOwnPlace,
  settle,
  tryTo,
  type Wish,
} from "./pin.ts";

/** Where a thread was. */
interface State {
  readonly own: Own;
  readonly cpus: CpuSet;
  /** Whether these are numakit's doing. */
  readonly isOwn: boolean;
  /** Undefined where nobody asked for it, or the system does not say. */
  readonly policy: SavedPolicy | undefined;
}

interface Layer {
  before: State;
  readonly after: State;
}

const layers: Layer[] = [];

function look(memory: boolean): State {
  let policy: SavedPolicy | undefined;
  if (memory) tryTo(() => policy = savePolicy());
  const cpus = threadAffinity();
  return { own: ownPlace(), cpus, isOwn: isOwnAffinity(cpus), policy };
}

/** The CPUs of one, the memory policy of the other. */
function join({ mask, home }: Own, { policy, homePolicy }: Own): Own {
  return { mask, home, policy, homePolicy };
}

/** Whether nobody has moved the thread from these CPUs: a cpuset may have left it a part of them. */
function isStill(cpus: CpuSet): boolean {
  const now = threadAffinity();
  return now.equals(cpus) || narrowing(now, cpus) !== undefined;
}

/** Undoes what made one state of another, and nothing that others did meanwhile, such as `Thread.migrate`. */
function putBack(before: State, after: State): void {
  const errors: (NumaError | undefined)[] = [];
  const now = ownPlace();
  const hasCpus = now.mask === after.own.mask;
  const hasPolicy = now.policy === after.own.policy;
  if (hasCpus && !before.cpus.equals(after.cpus)) {
    errors.push(tryTo(() => {
      if (isStill(after.cpus)) pinThread(before.cpus, true, before.isOwn);
    }));
  }
  const { policy } = before;
  if (
    hasPolicy && policy !== undefined && after.policy !== undefined &&
    !isSame(policy, after.policy)
  ) {
    errors.push(tryTo(() => {
      if (isSame(savePolicy(), after.policy)) restorePolicy(policy);
    }));
  }
  const error = errors.find((one) => one !== undefined);
  if (error !== undefined) throw error;
  setOwnPlace(join(hasCpus ? before.own : now, hasPolicy ? before.own : now));
}

/** What the newer of two layers has to remember when the older one is undone first. */
function beneath(newer: State, { before, after }: Layer): State {
  const cpus = newer.own.mask === after.own.mask ? before : newer;
  // A layer that leaves the memory policy alone does not know it.
  const hasPolicy = newer.own.policy === after.own.policy && before.policy !== undefined;
  const memory = hasPolicy ? before : newer;
  return {
    ...{ own: join(cpus.own, memory.own), policy: memory.policy },
    ...{ cpus: cpus.cpus, isOwn: cpus.isOwn },
  };
}

/**
 * Changes the place of the calling thread until that is undone.
 *
 * @param memory Whether its memory policy may change.
 * @param change Makes the change. What it changed before it throws is undone.
 * @returns What it returned, and how to undo it. Undoing twice does nothing; one that throws can be tried again.
 */
function addLayer<Made>(memory: boolean, change: () => Made): { made: Made; undo: () => void } {
  const asks = memory || ownPlace().policy !== undefined;
  const before = look(asks);
  let made: Made;
  try {
    made = change();
  } catch (error) {
    tryTo(() => putBack(before, look(asks)));
    setOwnPlace(before.own);
    throw error;
  }
  const layer: Layer = { before, after: look(asks) };
  layers.push(layer);
  return {
    made,
    undo(): void {
      const at = layers.indexOf(layer);
      if (at < 0) return;
      const newer = layers[at + 1];
      if (newer === undefined) putBack(layer.before, layer.after);
      else newer.before = beneath(newer.before, layer);
      layers.splice(at, 1);
    },
  };
}

/**
 * Puts the calling thread elsewhere for a while.
 *
 * @param wish Where.
 * @returns What came of it, and how to undo it.
 * @throws {NumaError} What is required and refused; the thread is then where it was.
 */
export function takeAnotherPlace(wish: Wish): { made: ThreadBinding; undo: () => void } {
  return addLayer(wish.strengths.memory !== "off", () => settle(wish, homeAffinity()));
}

/**
 * Runs a function while the calling thread has all CPUs and the memory policy that it would have without numakit, and
 * restores the thread's own afterwards. Use it to start what inherits them, such as child processes.
 *
 * Only what happens before the function returns is affected, so start the process in it and wait for it outside. In a
 * thread that numakit has not pinned, with `launch` or `pin`, this just calls the function. CPUs that the process has lost
 * since stay lost, and an affinity that others have given the thread meanwhile stays as it is.
 *
 * @typeParam Result What the function returns.
 * @param call What is to be done, synchronously.
 * @returns What it returned.
 * @throws What it throws. {@linkcode NumaError} `EACCES` when none of those CPUs may be used any more; the thread is then
 * where it was.
 *
 * @example
 * ```ts
 * import { spawnSync } from "node:child_process";
 * import { unpinned, worker } from "@numakit/numakit";
 *
 * export default worker((file: string) => unpinned(() => spawnSync("gzip", [file]).status));
 * ```
 */
export function unpinned<Result>(call: () => Result): Result {
  if (!isAway()) return call();
  const { undo } = addLayer(false, () => {
    goHome(homeAffinity());
    goHomePolicy();
  });
  try {
    return call();
  } finally {
    undo();
  }
}
