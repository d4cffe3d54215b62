import { checkInteger, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { holdsTenant, settleIn } from "../../shared/tenancy.ts";
import { Crowd } from "../../sync/conditions/crowd.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { closedError } from "../outcomes.ts";
import { BroadcastConsumer } from "./broadcast_consumer.ts";
import { BroadcastCore, DONE, ENDED, FOREIGN } from "./broadcast_core.ts";
import { countOf } from "./ring_ends.ts";
import { optionOf, type RingOptions, settingsOf } from "./ring_settings.ts";

/** Options of a {@linkcode BroadcastRing}. */
export type BroadcastRingOptions = RingOptions;

/** Options of {@linkcode BroadcastRing.subscribe}. */
export interface SubscribeOptions {
  /**
   * Where the consumer begins: with the first record that is published from now on, with the oldest one that is still
   * there, or where another consumer was ({@linkcode BroadcastConsumer.position}), which then counts what it has missed
   * since. Default: `"now"`.
   */
  readonly from?: "now" | "oldest" | number;
}

const PUBLISH = "publish in a broadcast ring";
const CLOSE = "close a broadcast ring";
const SUBSCRIBE = "subscribe to a broadcast ring";

const KIND = /* @__PURE__ */ defineKind<BroadcastRing, BroadcastRingOptions>({
  name: "BroadcastRing",
  code: 62,
  title: "a broadcast ring",
  accepts: ["threads", "capacity", "recordWords"],
  option: optionOf,
  words(shape, option) {
    const { capacity, recordWords } = settingsOf(option);
    return BroadcastCore.words(shape, capacity, recordWords);
  },
});

/**
 * A ring of fixed-size records from one thread to any number of threads, each of which sees all of them.
 *
 * A record is one or more 32-bit words. One thread publishes, the producer, and never waits: it overwrites the oldest
 * records. Any thread subscribes, also several times, and reads at its own pace. A consumer that is further behind than the
 * ring's capacity is told how many records it has missed, and goes on at the oldest one that is whole. It never gets a part
 * of a record. Use it for prices, events, telemetry: where the newest counts, and a slow consumer must not hold up the others.
 *
 * The first thread that publishes or closes becomes the producer. It stays so until it ends, destroys the ring's arena, or
 * calls {@linkcode BroadcastRing.disown}; then another thread can {@linkcode BroadcastRing.adopt} the ring. Create the ring
 * in an arena on the node of its consumers: writes to another node do not stall a thread, and reads do.
 *
 * Properties: first in, first out; robust. A producer that dies in the middle of a call has published all records of that
 * call or none, although the oldest ones may be gone. A consumer leaves nothing behind when its thread ends. Costs: `publish`
 * two atomic operations a batch, `tryRead` one, however many consumers there are; no call of native code unless somebody
 * sleeps, no allocation.
 *
 * @example
 * ```ts
 * import { BroadcastRing } from "@numakit/numakit";
 *
 * const options = { capacity: 1024, recordWords: 2 };
 * const ring = BroadcastRing.create(new SharedArrayBuffer(BroadcastRing.bytes(options)), options);
 * // Consumers, in any thread that was given the ring:
 * const consumer = ring.subscribe();
 * // The producer:
 * ring.publish(Int32Array.of(1, 10, 2, 20)); // two records
 *
 * const records = new Int32Array(2 * 64);
 * const count = consumer.tryRead(records); // up to 64 of them
 * console.log(count, records[2], records[3], consumer.missed); // 2 2 20 0
 * ```
 */
export class BroadcastRing implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    BroadcastRing,
    (region) => new BroadcastRing(region),
  );
  readonly #core: BroadcastCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #size: number;
  /** This thread's consumers that wait without blocking. */
  readonly #crowd: Crowd;

  private constructor(region: Region) {
    const { capacity, recordWords } = settingsOf(region.option);
    const core = new BroadcastCore(region.words, region.shape, capacity, recordWords);
    this.#core = core;
    this.#size = recordWords;
    this.#attached = new Attachment(region);
    const { me } = this.#attached;
    this.#me = me;
    this.#crowd = new Crowd(core.published, region, me, "read records of a broadcast ring");
    settleIn(this, region, "producer", tenantOf(core, region.words, me));
    settleIn(this, region, "consumers", this.#crowd.tenant);
  }

  /**
   * Creates an empty ring that has no producer yet.
   *
   * @param memory The memory for it: an arena on the consumers' node, or a `SharedArrayBuffer` of
   * {@linkcode BroadcastRing.bytes} bytes.
   * @param options The number and size of its records, and other options.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: BroadcastRingOptions = {}): BroadcastRing {
    return BroadcastRing.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a ring needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: BroadcastRingOptions = {}): number {
    return BroadcastRing.#kind.bytes(options);
  }

  /**
   * Returns the live ring of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode BroadcastRing.toHandle}, made in any thread of this process.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): BroadcastRing {
    return BroadcastRing.#kind.attach(handle);
  }

  /** The number of records that it keeps: how far a consumer may be behind. */
  get capacity(): number {
    return this.#core.capacity;
  }

  /** The number of 32-bit words of a record. */
  get recordWords(): number {
    return this.#size;
  }

  /**
   * How many records were published so far: exact up to 2^53.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get published(): number {
    this.#attached.check("read");
    return this.#core.count();
  }

  /**
   * Whether it is closed: nothing more will come.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get closed(): boolean {
    this.#attached.check("read");
    return this.#core.closed();
  }

  /**
   * Whether this thread is the producer.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get owned(): boolean {
    this.#attached.check("read");
    return this.#core.owner() === this.#me.id;
  }

  /**
   * Publishes records, all at once. For the producer. It never waits. Cost: two atomic operations.
   *
   * @param records Their words, one record after the other: no more than {@linkcode BroadcastRing.capacity} records.
   * @throws {NumaError} `EINVAL` if there are too many records, or a part of one; `ECLOSED` if the ring is closed;
   * `EOWNER` if another thread is the producer; `EOWNERDEAD` if the producer has ended; `EDESTROYED` if its arena is
   * destroyed. In all cases none is published.
   */
  publish(records: Int32Array): void {
    const count = countOf(records, this.#size, PUBLISH);
    if (count > this.#core.capacity) this.#refuse(count);
    try {
      if (count === 0) return;
      const done = this.#core.publish(this.#me, records, count);
      if (done !== DONE) this.#publish(done, records, count);
    } catch (error) {
      this.#attached.check("publish in");
      throw error;
    }
  }

  /**
   * Makes this thread the producer, if there is none that lives.
   *
   * @returns Whether this thread is the producer: false if another one is.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  adopt(): boolean {
    this.#attached.check("adopt");
    return this.#core.adopt(this.#me);
  }

  /**
   * Ends that this thread is the producer. The next thread that publishes, closes or adopts becomes the producer.
   *
   * @throws {NumaError} `EOWNER` if this thread is not the producer; `EDESTROYED` if its arena is destroyed.
   */
  disown(): void {
    this.#attached.check("disown");
    if (this.#core.disown(this.#me)) return;
    throw new NumaError("EOWNER", "disown a broadcast ring", {
      why: "this thread is not its producer",
      fix: "Call disown once, in the thread that publishes.",
    });
  }

  /**
   * Begins to read. For any thread, as often as it likes: each consumer sees all records. There is nothing to undo.
   *
   * @param options Where it begins.
   * @returns The consumer, for this thread alone.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if its arena is destroyed.
   */
  subscribe(options: SubscribeOptions = {}): BroadcastConsumer {
    checkOptions(options, "{ from }", SUBSCRIBE);
    const { from = "now" } = options;
    if (typeof from !== "number" && from !== "now" && from !== "oldest") {
      throw new NumaError("EINVAL", SUBSCRIBE, {
        why: `from is ${show(from)}`,
        fix: 'Give "now", "oldest", or the position of another consumer.',
      });
    }
    this.#attached.check("subscribe to");
    const core = this.#core;
    const now = core.count();
    const start = from === "now"
      ? now
      : from === "oldest"
      ? Math.max(0, core.reserved() - core.capacity)
      : checkInteger(from, "from", 0, now, SUBSCRIBE);
    const parts = { core, attached: this.#attached, crowd: this.#crowd };
    return new BroadcastConsumer(this, parts, start);
  }

  /**
   * Says that nothing more will come, and wakes all consumers that wait. They still get what they have not read. For the
   * producer; or any thread when there is none that lives, for example when the producer's thread has ended.
   *
   * @throws {NumaError} `EOWNER` if another thread is the producer; `EDESTROYED` if its arena is destroyed.
   */
  close(): void {
    this.#attached.check("close");
    const core = this.#core;
    if (core.close(this.#me) === DONE) return;
    if (!core.adopt(this.#me) || core.close(this.#me) !== DONE) throw foreignError(CLOSE);
  }

  /**
   * Returns a handle with which another thread finds the ring. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** Becomes the producer after an attempt that failed, and publishes; or says why it cannot. */
  #publish(before: number, records: Int32Array, count: number): void {
    let done = before;
    if (done === FOREIGN) {
      const owner = this.#core.claim(this.#me);
      if (owner !== 0 && !this.#me.alive(owner)) {
        throw new NumaError("EOWNERDEAD", PUBLISH, {
          why: "the thread that was its producer has ended",
          fix: "Call adopt() to go on after what it has published.",
        });
      }
      if (owner === 0) done = this.#core.publish(this.#me, records, count);
    }
    if (done === ENDED) throw closedError(PUBLISH);
    if (done !== DONE) throw foreignError(PUBLISH);
  }

  #refuse(count: number): never {
    throw new NumaError("EINVAL", PUBLISH, {
      why: `${count} records are more than it keeps, ${this.#core.capacity}`,
      fix: "Publish them one part after the other, or give it a larger capacity.",
    });
  }
}

function foreignError(action: string): NumaError {
  return new NumaError("EOWNER", action, {
    why: "another thread is its producer",
    fix: "Publish and close in one thread, or let that thread call disown().",
  });
}

/** A thread that can publish no more is not the producer. */
function tenantOf(core: BroadcastCore, words: Int32Array, me: ThreadWaiter): Tenant {
  return holdsTenant(words, () => core.owner() === me.id, () => core.disown(me));
}
