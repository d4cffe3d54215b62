import { type Channel, type ChannelCodec, f64, struct, u32, worker } from "../../mod.ts";

/** What goes through channels: who sent it, and the how manieth of its it is. */
export interface Parcel {
  readonly from: number;
  readonly number: number;
}

/** The same as a record. */
export const Record = struct({ from: u32, number: f64 });

/** The same as bytes: with padding of many lengths. */
export const codec: ChannelCodec<Parcel> = {
  encode({ from, number }, into) {
    const view = new DataView(into.buffer, into.byteOffset);
    view.setUint32(0, from);
    view.setUint32(4, number);
    return 8 + number % 20;
  },
  decode(bytes) {
    const view = new DataView(bytes.buffer);
    const [from, number] = [view.getUint32(0), view.getUint32(4)];
    return { from, number: bytes.length === 8 + number % 20 ? number : -number };
  },
};

/** How the parcels of a test are sent. */
export type Manner = "clone" | "f64" | "record" | "codec";

/** What a thread is to do with a channel. */
export interface ChannelTask {
  readonly task: "send" | "send for ever" | "send async" | "receive" | "receive some" | "leave";
  // deno-lint-ignore no-explicit-any
  readonly channel: Channel<any>;
  readonly manner: Manner;
  /** Who it is: 0 to 99. */
  readonly from: number;
  /** How many it sends or receives. */
  readonly count: number;
  /** Counts senders down; the last one closes the channel. */
  readonly left: Int32Array;
}

/** What is sent for a parcel. */
export function packed(manner: Manner, parcel: Parcel): unknown {
  return manner === "f64" ? parcel.from + parcel.number * 100 : parcel;
}

/** The parcel of what was received. */
export function unpacked(manner: Manner, value: unknown): Parcel {
  if (manner !== "f64") return value as Parcel;
  return { from: value as number % 100, number: Math.floor(value as number / 100) };
}

/** Checks that the parcels of each sender come in order. Says how many there were. */
export class Tally {
  readonly #last = new Map<number, number>();
  count = 0;

  /** Takes a parcel; throws if it is not the next one of its sender's. */
  take({ from, number }: Parcel): void {
    const last = this.#last.get(from) ?? 0;
    if (number !== last + 1) throw new Error(`${number} of ${from} came after ${last}`);
    this.#last.set(from, number);
    this.count++;
  }

  /** The last number of a sender. */
  of(from: number): number {
    return this.#last.get(from) ?? 0;
  }
}

async function send({ task, channel, manner, from, count, left }: ChannelTask): Promise<number> {
  for (let number = 1; number <= count; number++) {
    const value = packed(manner, { from, number });
    if (task === "send async") await channel.sendAsync(value);
    else if (number % 3 !== 0 || !channel.trySend(value)) channel.send(value);
    // Deno ends a thread at its event loop alone.
    if (task === "send for ever" && number % 500 === 0) await new Promise((go) => setTimeout(go));
    Atomics.store(left, 1 + from, number);
  }
  if (task !== "leave" && Atomics.sub(left, 0, 1) === 1) channel.close();
  if (task === "leave") channel.leave();
  return count;
}

function receive({ channel, manner }: ChannelTask): number {
  const tally = new Tally();
  for (let turn = 0;; turn++) {
    const values = turn % 2 === 0
      ? channel.receiveMany(7)
      : [channel.receive()].filter((value) => value !== undefined);
    if (values.length === 0) return tally.count;
    for (const value of values) tally.take(unpacked(manner, value));
  }
}

async function receiveSome({ channel, count }: ChannelTask): Promise<number> {
  for (let turn = 0; turn < count; turn++) await channel.receiveAsync();
  return count;
}

export default worker(async (args: ChannelTask): Promise<number> => {
  if (args.manner === "codec") args.channel.use(codec);
  if (args.manner === "record") args.channel.use(Record);
  if (args.task === "receive") return receive(args);
  return args.task === "receive some" ? await receiveSome(args) : await send(args);
});
