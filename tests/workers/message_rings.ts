import { type MessageRing, worker } from "../../mod.ts";

/** What a thread is to do with a ring of messages. */
export interface MessageTask {
  readonly task: "produce" | "consume" | "produce for ever";
  readonly ring: MessageRing;
  /** Messages that it puts in or takes out at a time; 0: in place, without a copy. */
  readonly batch: number;
  /** The number of the last message: the first one is 1. */
  readonly last: number;
}

/** Bytes of a message. */
export function lengthOf(number: number, most: number): number {
  return Math.imul(number, 2654435761) % 7 === 0
    ? number % (most + 1)
    : number % Math.min(40, most + 1);
}

/** A message of a number: each byte is made of the number and of its place. */
export function messageOf(number: number, most: number): Uint8Array {
  return new Uint8Array(lengthOf(number, most)).map((_, at) => number * 31 + at * 7);
}

/** Whether bytes are the message of a number. */
export function isMessage(bytes: Uint8Array, number: number, most: number): boolean {
  return bytes.length === lengthOf(number, most) &&
    bytes.every((byte, at) => byte === ((number * 31 + at * 7) & 0xff));
}

function produce({ ring, batch, last }: MessageTask): number {
  const { maxBytes } = ring;
  for (let next = 1; next <= last;) {
    if (batch === 0) {
      const message = messageOf(next, maxBytes);
      const at = ring.reserve(Math.min(maxBytes, message.length + 3));
      if (at < 0) {
        ring.push(message);
      } else {
        ring.memory.set(message, at);
        ring.commit(message.length);
      }
      next++;
    } else {
      const count = Math.min(batch, last + 1 - next);
      const messages = Array.from(
        { length: count },
        (_, index) => messageOf(next + index, maxBytes),
      );
      const done = ring.tryPushMany(messages);
      if (done === 0) ring.push(messages[0] as Uint8Array);
      next += Math.max(done, 1);
    }
  }
  return last;
}

/** Takes messages out. The result is the number of the first one that is not as it should be, or of the last one. */
function consume({ ring, batch }: MessageTask): number {
  const { maxBytes } = ring;
  for (let next = 1;;) {
    const length = batch === 0 ? ring.readable() : -1;
    if (length >= 0) {
      const at = ring.readAt;
      if (!isMessage(ring.memory.subarray(at, at + length), next, maxBytes)) return -next;
      ring.consume();
      next++;
      continue;
    }
    const messages = batch === 0 ? [] : ring.tryPopMany(batch);
    if (messages.length === 0) {
      const message = ring.pop();
      if (message === undefined) return next - 1;
      messages.push(message);
    }
    for (const message of messages) if (!isMessage(message, next++, maxBytes)) return 1 - next;
  }
}

export default worker((args: MessageTask): number => {
  if (args.task === "consume") return consume(args);
  if (args.task === "produce for ever") return produce({ ...args, last: 2 ** 31 - 1 });
  const last = produce(args);
  args.ring.close();
  return last;
});
