/**
 * What has to be true when all programs are over: for a thread that was not there before.
 */
import { NumaError } from "../../mod.ts";
import {
  GUARDED,
  type Guarded,
  LIMIT,
  PARTIES,
  PERMITS,
  type Pool,
  TALLY,
  tallyAt,
} from "./fuzz_sync_pool.ts";

/** What nobody destroys. */
export type Kept = Omit<Pool, "doomed">;

const SECOND = { timeoutMs: 1000 };

function checkLock(name: string, row: Guarded, words: Int32Array, hasDead: boolean): string[] {
  const { lock, at, robust, stuck } = row;
  const wrong: string[] = [];
  const done = words[at + GUARDED.done] as number;
  const meant = words[at + GUARDED.meant] as number;
  // A dead one may have done what it did not come to tell, once.
  if (done < meant || (!hasDead && done > meant)) wrong.push(`${name}: ${done} of ${meant} turns`);
  const begun = performance.now();
  try {
    lock.markConsistent();
  } catch {
    // Nobody has inherited it from a dead owner yet.
  }
  try {
    const guard = lock.acquire(SECOND);
    if (guard.ownerDied && !hasDead) wrong.push(`${name}: nobody has died`);
    lock.markConsistent();
    guard.release();
  } catch (error) {
    const { code } = error as NumaError;
    const isBroken = hasDead && code === "EOWNERDEAD" && !robust;
    const isRead = hasDead && stuck && code === "ETIMEDOUT" &&
      (words[at + GUARDED.inRead] as number) > 0;
    if (!isBroken && !isRead) wrong.push(`${name}: ${error}`);
  }
  const took = performance.now() - begun;
  if (took > 1500) wrong.push(`${name}: it took ${took} ms`);
  return wrong;
}

function checkCounts(pool: Kept, hasDead: boolean): string[] {
  const { counter, epoch, events, histogram, limited, permits, words } = pool;
  const tally = (word: keyof typeof TALLY): number => words[tallyAt(pool) + TALLY[word]] as number;
  const wrong: string[] = [];
  const check = (what: string, found: number, wanted: number, lost = 0): void => {
    const differs = hasDead ? found < wanted - lost : found !== wanted;
    if (differs) wrong.push(`${what}: ${found}, not ${wanted}`);
  };
  if (tally("violations") > 0) wrong.push(`${tally("violations")} violations`);
  // The dead have done it, but may not have told.
  check("counter", counter.value(), tally("added"));
  check("histogram", histogram.snapshot().count, tally("recorded"));
  check("limited counter", limited.value(), 0);
  check("items", tally("items") + tally("taken"), tally("made"), 100);
  // The dead keep theirs.
  check("permits", permits.available, PERMITS, PERMITS);
  if (permits.available > PERMITS) wrong.push(`${permits.available} permits`);
  if (limited.value() > LIMIT) wrong.push(`${limited.value()} of ${LIMIT}`);
  const at = epoch.current;
  for (let tries = 0; tries < 100 && !epoch.safe(at); tries++) epoch.advance();
  if (!epoch.safe(at)) wrong.push("the epoch does not move");
  if (events.notifyAll() && !hasDead) wrong.push("somebody waits for events still");
  return wrong;
}

async function checkMeetings({ barrier, latch, once, record }: Kept): Promise<string[]> {
  const wrong: string[] = [];
  barrier.reset(SECOND);
  const passed = await Promise.all(
    Array.from({ length: PARTIES }, () => barrier.waitAsync(SECOND)),
  );
  if (passed.filter((leads) => leads).length !== 1) wrong.push(`the barrier has leaders ${passed}`);
  while (latch.count > 0) latch.countDown();
  latch.wait(SECOND);
  once.run(() => {}, SECOND);
  if (!once.done) wrong.push("it was not done once");
  record.write([1, 2, 3, 4], SECOND);
  return wrong;
}

/**
 * Looks at everything.
 *
 * @param pool What programs have used.
 * @param hasDead Whether threads have died meanwhile.
 * @returns What is wrong.
 */
export async function inspect(pool: Kept, hasDead: boolean): Promise<string[]> {
  // Writers first: they repair what readers then get.
  const locks = Object.entries(pool.locks);
  return [
    ...locks.flatMap(([name, row]) => checkLock(name, row, pool.words, hasDead)),
    ...checkCounts(pool, hasDead),
    ...await checkMeetings(pool),
  ];
}
