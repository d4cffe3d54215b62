import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ParkingLot, slotOf } from "../../lib/wait/parking_lot.ts";
import { ASLEEP, permitAt } from "../../lib/wait/slots_core.ts";

describe("a parking lot", () => {
  it("gives out the lowest free slot, and an id that is alive until it is released", () => {
    const lot = ParkingLot.create(3);
    const [a, b, c] = [lot.claim(), lot.claim(), lot.claim()];
    assert.deepEqual([a, b, c].map(slotOf), [0, 1, 2]);
    assert.throws(() => lot.claim(), { code: "EAGAIN" });
    lot.release(b);
    lot.release(b);
    assert.deepEqual([a, b, c].map((id) => lot.alive(id)), [true, false, true]);
    const d = lot.claim();
    assert.deepEqual([slotOf(d), lot.alive(b), lot.alive(d)], [1, false, true]);
    lot.release(b);
    assert.equal(lot.alive(d), true);
  });

  it("never gives the same id twice in a row, also where its generations wrap", () => {
    const lot = ParkingLot.create(1);
    let last = 0;
    const seen = new Set<number>();
    for (let time = 0; time < 2 ** 17 + 2; time++) {
      const id = lot.claim();
      assert.ok(id > 0 && id < 2 ** 29 && id !== last, `${id} after ${last}`);
      assert.equal(lot.alive(last), false);
      lot.release(id);
      seen.add(id);
      last = id;
    }
    assert.equal(seen.size, 2 ** 17 - 1);
  });

  it("buries a thread with its waits, and nobody else", () => {
    const lot = ParkingLot.create(6);
    const [dead, other] = [lot.claim(), lot.claim()];
    const waits = [lot.claim(dead), lot.claim(other), lot.claim(dead)];
    lot.bury(dead);
    const alive = [dead, other, ...waits].map((id) => lot.alive(id));
    assert.deepEqual(alive, [false, true, false, true, false]);
    const heirs = [lot.claim(), lot.claim(), lot.claim()];
    lot.bury(dead);
    assert.ok(heirs.every((id) => lot.alive(id)), "who has the slots of the dead lives");
  });

  it("reaps those whose OS thread is gone, and not the next in their slot", () => {
    const lot = ParkingLot.create(3);
    const [gone, lives, unknown] = [lot.claim(), lot.claim(), lot.claim()];
    lot.setIdentity(gone, 2 ** 32 + 1);
    lot.setIdentity(lives, 2 ** 33 + 2);
    lot.reap((identity) => identity !== 2 ** 32 + 1);
    assert.deepEqual([gone, lives, unknown].map((id) => lot.alive(id)), [false, true, true]);
    const next = lot.claim();
    assert.equal(slotOf(next), slotOf(gone));
    lot.reap((identity) => identity !== 2 ** 32 + 1);
    assert.equal(lot.alive(next), true);
  });

  it("does not tell an old owner's identity from the new one's words", () => {
    const lot = ParkingLot.create(1);
    const old = lot.claim();
    assert.equal(lot.identityOf(old), 0);
    lot.setIdentity(old, 2 ** 40 + 7);
    assert.equal(lot.identityOf(old), 2 ** 40 + 7);
    lot.release(old);
    const next = lot.claim();
    lot.setIdentity(next, 2 ** 41 + 9);
    assert.deepEqual([lot.identityOf(old), lot.identityOf(next)], [0, 2 ** 41 + 9]);
    lot.setIdentity(old, 2 ** 42);
    assert.equal(lot.identityOf(next), 2 ** 41 + 9);
  });

  it("stops the thread that it is asked to, and not the next in its slot", () => {
    const lot = ParkingLot.create(1);
    const old = lot.claim();
    assert.equal(lot.stopped(old), false);
    lot.release(old);
    const next = lot.claim();
    lot.stop(old);
    assert.equal(lot.stopped(next), false);
    lot.stop(next);
    assert.equal(lot.stopped(next), true);
    assert.equal(lot.park(next, 10_000), true);
  });

  it("keeps a thread that was declared dead from going on, whoever has its slot by then", () => {
    const lot = ParkingLot.create(1);
    const late = lot.claim();
    lot.stop(late);
    lot.bury(late);
    assert.equal(lot.stopped(late), true);
    const next = lot.claim();
    assert.deepEqual([lot.stopped(late), lot.stopped(next)], [true, false]);
    lot.bury(next);
    assert.equal(lot.stopped(next), true);
  });

  it("spares a thread its next sleep, once", () => {
    const lot = ParkingLot.create(1);
    const id = lot.claim();
    lot.unpark(id);
    lot.unpark(id);
    assert.equal(lot.park(id, 10_000), true);
    assert.equal(lot.park(id, 1), false);
  });

  it("wakes an asynchronous sleep", async () => {
    const lot = ParkingLot.create(2);
    const id = lot.claim(lot.claim());
    const sleep = lot.parkAsync(id, 60_000);
    ParkingLot.from(lot.buffer, "test").unpark(id);
    assert.equal(await sleep, true);
    assert.equal(await lot.parkAsync(id, 1), false);
  });

  it("ends a sleep whose waker has died before it notified", async () => {
    const lot = ParkingLot.create(3);
    const [dead, id] = [lot.claim(), lot.claim()];
    const words = new Int32Array(lot.buffer);
    const sleep = lot.parkAsync(id, 60_000);
    assert.equal(Atomics.exchange(words, permitAt(id), 1), ASLEEP);
    lot.bury(dead);
    assert.equal(await sleep, true);
    // And when nobody has noticed, once the time is over.
    const other = lot.parkAsync(id, 20);
    assert.equal(Atomics.exchange(words, permitAt(id), 1), ASLEEP);
    assert.equal(await other, false);
  });

  it("has no timer left of an asynchronous sleep that has ended", async () => {
    const lot = ParkingLot.create(1);
    const id = lot.claim();
    const sleep = lot.parkAsync(id, 20);
    lot.unpark(id);
    assert.equal(await sleep, true);
    // It would end this one, and keep the process alive.
    assert.equal(await lot.parkAsync(id, 100), false);
  });

  it("is known by its stamp, and nothing else is one", () => {
    const lot = ParkingLot.create(2);
    assert.equal(ParkingLot.from(lot.buffer, "test").stamp, lot.stamp);
    for (const wrong of [undefined, new ArrayBuffer(4096), new SharedArrayBuffer(4096)]) {
      assert.throws(() => ParkingLot.from(wrong, "test"), { code: "EINVAL" });
    }
  });
});
