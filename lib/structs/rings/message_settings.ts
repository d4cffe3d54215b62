/**
 * What rings and lanes of messages take: their size, as their memory keeps it, and messages.
 *
 * @module
 */
import { type ByteSize, parseBytes } from "../../base/bytes.ts";
import { isList, isUint8Array, lengthOf } from "../../base/brand.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";

const MIN_BITS = 6;
const MAX_BITS = 30;

/** What a producer of messages asks for, as it follows "Cannot". */
export const PUT = "put messages into a ring";
/** What a consumer of messages asks for. */
export const TAKE = "take messages out of a ring";

/**
 * The logarithm of a capacity.
 *
 * @param capacity Bytes, as the caller gave them.
 * @param maxBits The logarithm of the greatest one.
 * @param action What was asked, as it follows "Cannot".
 * @returns The logarithm.
 * @throws {NumaError} `EINVAL`.
 */
export function capacityBits(capacity: ByteSize, maxBits: number, action: string): number {
  const bytes = parseBytes(capacity, action);
  checkInteger(bytes, "capacity", 1 << MIN_BITS, 2 ** maxBits, action);
  if ((bytes & (bytes - 1)) === 0) return Math.log2(bytes);
  throw new NumaError("EINVAL", action, {
    why: `capacity is ${capacity}`,
    fix: "Give a power of two.",
  });
}

/**
 * The words of a capacity.
 *
 * @param bits What {@linkcode capacityBits} returned, and what any thread wrote over it.
 * @param maxBits The logarithm of the greatest capacity.
 * @returns 32-bit words: within the limits.
 */
export function capacityWords(bits: number, maxBits: number = MAX_BITS): number {
  return 1 << (Math.min(Math.max(MIN_BITS, bits), maxBits) - 2);
}

/**
 * The length of an array of bytes.
 *
 * @param bytes The array, as the caller gave it.
 * @param action What was asked, as it follows "Cannot".
 * @returns Bytes.
 * @throws {NumaError} `EINVAL`.
 */
export function bytesLength(bytes: Uint8Array, action: string): number {
  if (!isUint8Array(bytes)) refuseMessage(bytes, action);
  return lengthOf(bytes);
}

/**
 * The length of a message that can be put in.
 *
 * @param message The message, as the caller gave it.
 * @param maxBytes The most that there can be room for.
 * @param action What was asked, as it follows "Cannot".
 * @returns Bytes.
 * @throws {NumaError} `EINVAL`.
 */
export function messageLength(message: Uint8Array, maxBytes: number, action: string): number {
  const length = bytesLength(message, action);
  if (length > maxBytes) refuseLength(length, maxBytes, action);
  return length;
}

function refuseMessage(message: unknown, action: string): never {
  throw new NumaError("EINVAL", action, {
    why: `it was given ${show(message)}`,
    fix: "Give a Uint8Array.",
  });
}

/**
 * Refuses a message that is too long.
 *
 * @param length Its bytes.
 * @param maxBytes The most that there can be room for.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function refuseLength(length: number, maxBytes: number, action: string): never {
  throw new NumaError("EINVAL", action, {
    why: `the message has ${length} bytes, and the longest one ${maxBytes}`,
    fix: "Create it with a greater capacity, or send the message in parts.",
  });
}

/**
 * A copy of a list: a second look might find something else, or run somebody's code.
 *
 * @param messages The list, as the caller gave it.
 * @param action What was asked, as it follows "Cannot".
 * @returns The copy.
 * @throws {NumaError} `EINVAL`.
 */
export function listOf<Message>(messages: readonly Message[], action: string): Message[] {
  if (isList(messages)) return [...messages];
  throw new NumaError("EINVAL", action, {
    why: `the messages are ${show(messages)}`,
    fix: "Give an array of messages.",
  });
}
