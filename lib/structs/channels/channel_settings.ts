/**
 * What a channel carries and how much, as its options say it and as one number that its memory keeps.
 *
 * ```
 *   bits 0-2    what a message is
 *   bits 3-7    the logarithm of a lane's bytes
 *   bits 8-18   the number of lanes, less one
 * ```
 *
 * @module
 */
import type { ByteSize } from "../../base/bytes.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { SyncOptions } from "../../shared/region.ts";
import type { StructRecord } from "../records/fields.ts";
import { Struct } from "../records/struct.ts";
import { capacityBits, capacityWords } from "../rings/message_settings.ts";

/**
 * A codec: how a `Channel` turns values into bytes and back.
 *
 * Its methods may throw, send and receive on the same channel, or destroy its arena. If `encode` throws, nothing was
 * sent. If `decode` throws, the message has been taken out.
 *
 * @typeParam T What is sent.
 */
export interface ChannelCodec<T> {
  /**
   * Turns a value into bytes.
   *
   * @param value The value.
   * @param into Where they go, from its start; it has room for the longest message, and what else is in it does not matter.
   * @returns The number of bytes.
   */
  encode(value: T, into: Uint8Array): number;
  /**
   * Turns bytes into a value.
   *
   * @param bytes A copy that nobody else has.
   * @returns The value.
   */
  decode(bytes: Uint8Array<ArrayBuffer>): T;
}

/**
 * What messages of a `Channel` are: bytes; what `serialize` of `node:v8` takes; numbers; the records of a struct; or what a
 * codec of yours makes of bytes.
 */
export type ChannelType =
  | "bytes"
  | "clone"
  | "f64"
  | "u32"
  | "i32"
  | Struct
  | ChannelCodec<unknown>;

/**
 * What JavaScript has for a {@linkcode ChannelType}.
 *
 * @typeParam Type The type of messages.
 */
export type ChannelValue<Type> = Type extends "bytes" ? Uint8Array
  : Type extends "clone" ? unknown
  : Type extends "f64" | "u32" | "i32" ? number
  : Type extends Struct<infer Fields> ? StructRecord<Fields>
  : Type extends ChannelCodec<infer Value> ? Value
  : never;

/**
 * Options of a `Channel`.
 *
 * @typeParam Type The type of messages.
 */
export interface ChannelOptions<Type extends ChannelType = ChannelType> extends SyncOptions {
  /** What its messages are. Default: `"clone"`: see {@linkcode Channel}. */
  readonly codec?: Type;
  /**
   * The bytes that there is room for in each sender's lane: a power of two from 64 to 64 MiB. The longest message has four
   * less than half of them. Default: 64 KiB.
   */
  readonly capacity?: ByteSize;
  /** How many threads may send, before one of them has ended or has left its lane to others: 1 to 1,024. Default: 16. */
  readonly senders?: number;
}

const NAMES = ["clone", "bytes", "f64", "u32", "i32"] as const;
/** Its codec is an object of each thread. */
export const CUSTOM = "custom";

const TYPE_BITS = 3;
const CAPACITY_BITS = 5;
const MAX_CAPACITY_BITS = 26;
const MAX_SENDERS = 1024;
/** 1 GiB. */
const MAX_BYTES = 2 ** 30;

/** What a sender asks for, as it follows "Cannot". */
export const SEND = "send through a channel";
/** What a receiver asks for. */
export const RECEIVE = "receive from a channel";

/** What a channel carries, and how much. */
export interface ChannelSettings {
  readonly type: typeof NAMES[number] | typeof CUSTOM;
  /** 32-bit words of a lane. */
  readonly capacity: number;
  readonly senders: number;
}

/**
 * What {@linkcode channelOptionOf} made a number of. It is in memory that any thread can write to: also what it never made.
 *
 * @param option The number.
 * @returns Settings within the limits.
 */
export function channelSettingsOf(option: number): ChannelSettings {
  const type = NAMES[option & ((1 << TYPE_BITS) - 1)] ?? CUSTOM;
  const bits = (option >>> TYPE_BITS) & ((1 << CAPACITY_BITS) - 1);
  const senders = 1 + ((option >>> (TYPE_BITS + CAPACITY_BITS)) & (MAX_SENDERS - 1));
  return { type, capacity: capacityWords(bits, MAX_CAPACITY_BITS), senders };
}

/**
 * The number that {@linkcode channelSettingsOf} takes.
 *
 * @param options The options.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number.
 * @throws {NumaError} `EINVAL`.
 */
export function channelOptionOf(options: ChannelOptions, action: string): number {
  const { codec = "clone", capacity = 65_536, senders = 16 } = options;
  const bits = capacityBits(capacity, MAX_CAPACITY_BITS, action);
  checkInteger(senders, "senders", 1, MAX_SENDERS, action);
  if (2 ** bits * senders > MAX_BYTES) {
    throw new NumaError("EINVAL", action, {
      why: `${senders} senders with ${capacity} bytes each are more than 1 GiB`,
      fix: "Give a smaller capacity.",
    });
  }
  const named = NAMES.indexOf(codec as typeof NAMES[number]);
  if (named < 0) checkCodec(codec, action);
  const type = named < 0 ? NAMES.length : named;
  return type | (bits << TYPE_BITS) | ((senders - 1) << (TYPE_BITS + CAPACITY_BITS));
}

/**
 * Checks a codec that is an object.
 *
 * @param codec What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The codec.
 * @throws {NumaError} `EINVAL`.
 */
export function checkCodec(codec: unknown, action: string): Struct | ChannelCodec<unknown> {
  if (codec instanceof Struct) return codec;
  const { encode, decode } = (codec ?? {}) as Partial<ChannelCodec<unknown>>;
  if (typeof encode === "function" && typeof decode === "function") {
    return codec as ChannelCodec<unknown>;
  }
  const names = NAMES.map((name) => `"${name}"`).join(", ");
  throw new NumaError("EINVAL", action, {
    why: `codec is ${show(codec)}`,
    fix: NAMES.includes(codec as typeof NAMES[number])
      ? `Give a struct or { encode, decode }: a thread need not be told of ${names}.`
      : `Give ${names}, a struct or { encode, decode }.`,
  });
}
