/**
 * What numakit does to the calling thread's CPUs and memory policy.
 *
 * A thread is *home* on the CPUs and with the memory policy that it would have without numakit: its process's, as `taskset`,
 * a cpuset or the application have made them. numakit narrows that and goes back to it, and never beyond it: it undoes
 * only what it did itself. A mask or a policy that is not what numakit has set was set by somebody else, and is home.
 *
 * @module
 */
import { ERRNO, errnoError, SECCOMP_FIX } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { MASK_WORDS, seeAffinity, threadAffinity } from "../../topology/load.ts";
import { aspects, lookAtMachine } from "../../topology/look.ts";
import type { BindStrengths, CpuBinding, MemoryBinding, ThreadBinding } from "./binding.ts";

/** The kernel's modes of memory policies. */
const MODES = { prefer: 1, require: 2 } as const;
/** What it may say of a mode besides. */
const MODE_BITS = 0xff;
/** `NK_POLICY_WORDS`: a mode and a mask of 1,024 nodes. */
const POLICY_WORDS = 17;

/** A memory policy as the helper saves it. */
export type SavedPolicy = BigUint64Array<ArrayBuffer>;

/** What is asked for a thread. */
export interface Wish {
  /** The CPUs that its policy names; undefined when it names none. */
  readonly asked: CpuSet | undefined;
  /** Those that it is to be pinned to; undefined when there are none. */
  readonly cpus: CpuSet | undefined;
  /** The node that its memory is to come from; undefined when there is no such one. */
  readonly node: number | undefined;
  /** How hard. */
  readonly strengths: Required<BindStrengths>;
  /** Why its policy could not be followed; undefined when it could. */
  readonly refused: NumaError | undefined;
}

/** What a thread tells those that it launches about its own place: they inherit from it. */
export interface Inherited {
  /** The CPUs where the launching thread is home, in kernel notation. */
  readonly home: string;
  /** Those that numakit has pinned it to; null for none. */
  readonly mask: string | null;
  /** The memory policy that numakit has given it; null for none. */
  readonly policy: SavedPolicy | null;
  /** The one that it had before; null where numakit has given it none. */
  readonly homePolicy: SavedPolicy | null;
}

/** What numakit has done to a thread. */
export interface Own {
  /** The CPUs that it pinned it to. */
  readonly mask: CpuSet | undefined;
  /** The CPUs where the thread is home; only while it is pinned. */
  readonly home: CpuSet | undefined;
  /** The memory policy that it gave it. */
  readonly policy: SavedPolicy | undefined;
  /** The one that was there before; only while it has given it one. */
  readonly homePolicy: SavedPolicy | undefined;
}

/** `NK_PIN_PART` and `NK_PIN_OWN`. */
export const PIN = { part: 1, own: 2 } as const;

/** The CPUs where the calling thread is home, by the word of its launcher; undefined where numakit has not launched it. */
let told: CpuSet | undefined;

/** The calling thread's. */
let own: Own = { mask: undefined, home: undefined, policy: undefined, homePolicy: undefined };

/** What numakit has done to the calling thread by now. */
export function ownPlace(): Own {
  return own;
}

/**
 * Takes down that what numakit did to the calling thread is something else by now.
 *
 * @param place What it is.
 */
export function setOwnPlace(place: Own): void {
  own = place;
}

/**
 * Takes down where the calling thread is home, by the word of its launcher.
 *
 * @param home The CPUs.
 */
export function hearHome(home: CpuSet): void {
  told = home;
}

/** Whether these CPUs of the calling thread are numakit's doing: its own, or that of another thread which has moved it. */
export function isOwnAffinity(now: CpuSet): boolean {
  const mask = new BigUint64Array(MASK_WORDS);
  const words = native().calls.nk_affinity_own(mask, MASK_WORDS);
  return words > 0 && CpuSet.fromMask(mask.subarray(0, words)).equals(now);
}

/**
 * What a cpuset lets a thread have, where it has not all of what numakit gave it.
 *
 * @param now What it has.
 * @param mask What numakit gave it.
 * @returns The CPUs of the cpuset, if it was that which has narrowed the thread; undefined if it was not.
 */
export function narrowing(now: CpuSet, mask: CpuSet): CpuSet | undefined {
  if (now.equals(mask) || !now.isSubsetOf(mask)) return undefined;
  let text: string | undefined;
  tryTo(() => text = aspects(lookAtMachine()).get("cpuset"));
  const cpuset = text === undefined ? undefined : CpuSet.parse(text);
  return cpuset?.intersection(mask).equals(now) === true ? cpuset : undefined;
}

/** Where the calling thread is home, if numakit has put it where it is; undefined if somebody else has. */
function homeFrom(now: CpuSet): CpuSet | undefined {
  const { mask, home } = own;
  if (mask === undefined || home === undefined) return isOwnAffinity(now) ? told : undefined;
  if (now.equals(mask)) return home;
  // Another thread has moved it, and it has not heard of that.
  if (isOwnAffinity(now)) return home;
  return narrowing(now, mask)?.intersection(home);
}

/** The CPUs where the calling thread is home: what it may run on without numakit. */
export function homeAffinity(): CpuSet {
  const now = threadAffinity();
  return homeFrom(now) ?? now;
}

/**
 * Where the calling thread is home when its launcher says where that is now.
 *
 * @param home What it says.
 * @returns Those of the CPUs that nobody else has taken from the thread.
 */
export function homeWithin(home: CpuSet): CpuSet {
  const now = homeAffinity();
  // It was home where it was told to be.
  if (told === undefined || told.isSubsetOf(now)) return home;
  const both = home.intersection(now);
  return both.size > 0 ? both : now;
}

/** Whether the calling thread is where numakit has put it. */
export function isAway(): boolean {
  const { mask, policy } = own;
  return mask !== undefined || policy !== undefined || isOwnAffinity(threadAffinity());
}

/** Whether numakit has pinned the calling thread. */
export function isPinned(): boolean {
  return own.mask !== undefined;
}

/** What threads that this one launches have to know. */
export function bequeath(): Inherited {
  return {
    home: homeAffinity().toString(),
    mask: own.mask?.toString() ?? null,
    policy: own.policy ?? null,
    homePolicy: own.homePolicy ?? null,
  };
}

/**
 * The error of CPUs that the kernel did not give.
 *
 * @param result What the helper gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The error.
 */
export function pinError(result: number, action: string): NumaError {
  return errnoError(result, "sched_setaffinity", action, {
    fix: result === -ERRNO.EPERM
      ? 'Permit sched_setaffinity in the seccomp profile, or bind with { cpus: "prefer" }.'
      : "`numakit topo` shows the CPUs this process may use; topology({ refresh: true }) looks.",
  });
}

/**
 * Pins the calling thread, without a record of it.
 *
 * @param cpus The CPUs it may run on from now on.
 * @param part Whether a part of them will do. Default: false.
 * @param isOwn Whether it is numakit's doing, which another thread may undo. Default: false, somebody else's.
 * @returns Whether it has all of them.
 * @throws {NumaError} `EACCES` when too few of them can be had; the affinity is then as it was. `EINVAL` empty; `EPERM`.
 */
export function pinThread(cpus: CpuSet, part: boolean = false, isOwn: boolean = false): boolean {
  const mask = cpus.toMask();
  const action = `pin this thread to CPUs ${cpus}`;
  const { nk_affinity_set } = native().calls;
  const empty = mask.length === 0;
  const how = (part ? PIN.part : 0) | (isOwn ? PIN.own : 0);
  const result = empty ? -ERRNO.EINVAL : nk_affinity_set(mask, mask.length, how);
  if (result >= 0) return result === 0;
  throw pinError(result, action);
}

/**
 * The calling thread's memory policy.
 *
 * @returns The policy.
 * @throws {NumaError} `EPERM`, `ENOSYS`.
 */
export function savePolicy(): SavedPolicy {
  const saved = new BigUint64Array(POLICY_WORDS);
  const result = native().calls.nk_policy_save(saved);
  if (result >= 0) return saved;
  throw errnoError(result, "get_mempolicy", "ask for this thread's memory policy");
}

/**
 * Gives the calling thread a memory policy that was saved, without a record of it.
 *
 * @param saved The policy.
 * @throws {NumaError} `EINVAL` no node of it may be used any more; `EPERM`, `ENOSYS`.
 */
export function restorePolicy(saved: SavedPolicy): void {
  const result = native().calls.nk_policy_restore(saved);
  if (result >= 0) return;
  throw errnoError(result, "set_mempolicy", "restore this thread's memory policy");
}

/** Whether two memory policies are there, and the same. */
export function isSame(one: SavedPolicy | undefined, other: SavedPolicy | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.every((word, index) => word === other[index]);
}

/** The node of a policy of one of our modes. */
function nodeOf(policy: SavedPolicy): number | undefined {
  const mode = Number(policy[0]) & MODE_BITS;
  return mode === MODES.prefer || mode === MODES.require
    ? CpuSet.fromMask(policy.subarray(1)).first
    : undefined;
}

/** Whether others have not narrowed the calling thread's home: then its launcher may put it anywhere. */
function mayWiden(home: CpuSet): boolean {
  return told === undefined || told.isSubsetOf(home);
}

/**
 * Takes the calling thread off the CPUs that numakit pinned it to, unless somebody else has moved it since.
 *
 * @param home Where it is home.
 * @throws {NumaError} `EACCES` none of those CPUs may be used any more.
 */
export function goHome(home: CpuSet): void {
  if (homeFrom(threadAffinity()) !== undefined) pinThread(home, true, mayWiden(home));
  own = { ...own, mask: undefined, home: undefined };
}

/** The same with its memory policy. */
export function goHomePolicy(): void {
  const { policy, homePolicy } = own;
  if (policy !== undefined && homePolicy !== undefined && isSame(savePolicy(), policy)) {
    restorePolicy(homePolicy);
  }
  own = { ...own, policy: undefined, homePolicy: undefined };
}

/** Only those of the CPUs where the thread is home: whatever narrowed that is not ours to undo. */
export function withinHome(
  cpus: CpuSet,
  home: CpuSet,
): { part: CpuSet; refused: NumaError | undefined } {
  const part = cpus.intersection(home);
  if (part.size === cpus.size) return { part, refused: undefined };
  const refused = new NumaError("EACCES", `pin this thread to CPUs ${cpus}`, {
    why: `it may run on CPUs ${home} only, as its affinity and its cpuset are now`,
    fix: "Widen what narrowed them (taskset, cpuset.cpus, sched_setaffinity), plan with " +
      'topology({ refresh: true }), or bind with { cpus: "prefer" }.',
  });
  return { part, refused };
}

/** Pins the thread, or throws. Returns why it has only a part of the CPUs, or none. */
function take(cpus: CpuSet, strength: "require" | "prefer", home: CpuSet): NumaError | undefined {
  const { part, refused } = withinHome(cpus, home);
  if (strength === "require") {
    if (refused !== undefined) throw refused;
    pinThread(cpus, false, mayWiden(home));
  } else if (part.size === 0) {
    goHome(home);
    return refused;
  } else if (!pinThread(part, true, mayWiden(home))) {
    own = { ...own, mask: threadAffinity(), home };
    return withinHome(cpus, threadAffinity()).refused;
  }
  own = { ...own, mask: threadAffinity(), home };
  return refused;
}

function settleCpus({ asked, cpus, strengths, refused }: Wish, home: CpuSet): CpuBinding {
  const strength = strengths.cpus;
  if (strength === "off") {
    return { strength, asked: undefined, got: threadAffinity(), refused: undefined };
  }
  if (cpus === undefined) {
    const error = tryTo(() => goHome(home));
    if (error !== undefined && strength === "require") throw error;
    return { strength, asked, got: threadAffinity(), refused: refused ?? error };
  }
  seeAffinity(homeAffinity);
  let why = refused;
  try {
    why = take(cpus, strength, home) ?? refused;
  } catch (error) {
    if (strength === "require" || !(error instanceof NumaError)) throw error;
    why = error;
    // Not where its launcher was pinned either, where that can be helped.
    tryTo(() => goHome(home));
  }
  return { strength, asked, got: threadAffinity(), refused: why };
}

/** Makes a call that the system may refuse. Returns its error. */
export function tryTo(call: () => void): NumaError | undefined {
  try {
    call();
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    return error;
  }
  return undefined;
}

function takeNode(strength: "require" | "prefer", node: number): SavedPolicy {
  const before = savePolicy();
  const result = native().calls.nk_policy_set(MODES[strength], node);
  if (result < 0) {
    throw errnoError(result, "set_mempolicy", `take this thread's memory from node ${node}`, {
      node,
    });
  }
  const policy = savePolicy();
  const isHome = own.policy === undefined || !isSame(before, own.policy);
  own = { ...own, policy, homePolicy: isHome ? before : own.homePolicy };
  return policy;
}

function settleMemory({ node, strengths, refused }: Wish): MemoryBinding {
  const strength = strengths.memory;
  const nothing = { strength, asked: undefined, got: undefined } as const;
  if (strength === "off") return { ...nothing, refused: undefined };
  if (node === undefined) {
    const error = tryTo(goHomePolicy);
    if (error !== undefined && strength === "require") throw error;
    return { ...nothing, refused: refused ?? error };
  }
  try {
    return { strength, asked: node, got: nodeOf(takeNode(strength, node)), refused: undefined };
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    const why = explain(error, node);
    if (strength === "require") throw why;
    tryTo(goHomePolicy);
    return { strength, asked: node, got: undefined, refused: why };
  }
}

/** The same error about what was asked, which was to take memory from a node. */
function explain(error: NumaError, node: number): NumaError {
  const { code, why, syscall } = error;
  const fix = code === "EPERM" ? SECCOMP_FIX : error.fix;
  const details = { why, node, cause: error, ...(syscall === undefined ? {} : { syscall }) };
  return new NumaError(code, `take this thread's memory from node ${node}`, {
    ...details,
    ...(fix === undefined ? {} : { fix }),
  });
}

/**
 * Puts the calling thread where it is wanted.
 *
 * @param wish Where.
 * @param home The CPUs where it is home.
 * @returns What came of it, read back from the kernel.
 * @throws {NumaError} What is required and refused: `EACCES`, `EPERM`; `EINVAL` a node without memory.
 */
export function settle(wish: Wish, home: CpuSet): ThreadBinding {
  return { cpus: settleCpus(wish, home), memory: settleMemory(wish) };
}

/**
 * Puts a new thread where it was launched to. It is born on the CPUs and with the memory policy of its launcher.
 *
 * @param wish Where.
 * @param inherited What its launcher told.
 * @returns What came of it.
 * @throws {NumaError} What is required and refused, as `join()` rejects with it.
 */
export function takePlace(wish: Wish, inherited: Inherited): ThreadBinding {
  const mask = inherited.mask === null ? undefined : CpuSet.parse(inherited.mask);
  const home = CpuSet.parse(inherited.home);
  hearHome(home);
  own = {
    ...{ mask, home: mask && home },
    policy: inherited.policy ?? undefined,
    homePolicy: inherited.homePolicy ?? undefined,
  };
  const now = threadAffinity();
  // It is born with its launcher's pin, which is none of its own.
  if (wish.strengths.cpus === "off") tryTo(() => goHome(homeAffinity()));
  if (wish.strengths.memory === "off") tryTo(goHomePolicy);
  // Usually the same: it is born where its launcher is.
  const both = home.intersection(now);
  return settle(wish, mask !== undefined ? homeAffinity() : both.size > 0 ? both : now);
}
