/**
 * What a thread asks the owner of a partition, and what that replies, as 32-bit words.
 *
 * ```
 *   request     | number | inbox | session | generation | what | count | flags | sender |   and for each:
 *                   get, delete    key
 *                   set            key, value
 *                   add, insert    key, value
 *                   exchange       key, expected value, replacement
 *
 *   reply       | number | session | status |   and for each of get, add, insert, exchange:  | found | value |
 *                                               delete: | found |
 * ```
 *
 * Numbers count the requests of a thread; a session is a random number of the thread's, so that replies to a dead one are
 * not taken for the next one's of the same inbox. The sender is the thread's id: nobody awaits a reply to a dead one.
 *
 * @module
 */
import type { NumaErrorCode } from "../../base/error.ts";
import type { HashMap } from "../maps/hash_map.ts";
import type { Codec } from "../maps/codecs.ts";
import { NumaError } from "../../base/error.ts";

export const NUMBER = 0;
export const INBOX = 1;
export const SESSION = 2;
export const GENERATION = 3;
export const WHAT = 4;
export const COUNT = 5;
export const FLAGS = 6;
export const SENDER = 7;
export const REQUEST_HEAD = 8;

export const REPLY_NUMBER = 0;
export const REPLY_SESSION = 1;
export const STATUS = 2;
export const REPLY_HEAD = 3;

/** What is asked. */
export const GET = 0;
export const SET = 1;
export const DELETE = 2;
export const ADD = 3;
export const INSERT = 4;
export const EXCHANGE = 5;

/** Of an exchange: there is an expected value, and a replacement. */
export const HAS_EXPECTED = 1;
export const HAS_REPLACEMENT = 2;

/** Statuses: why the owner could not do it. All else is `EINVAL`. */
const DONE = 0;
const FAILURES: readonly NumaErrorCode[] = [
  "ENOMEM",
  "ETERMINATED",
  "EDESTROYED",
  "EBUSY",
  "EINVAL",
];

/** What is known of a map's keys and values. */
export interface MessageShape {
  readonly keys: Codec;
  readonly values: Codec;
  readonly keyWords: number;
  readonly valueWords: number;
}

/**
 * Words of a request or of its reply, whichever has more.
 *
 * @param shape What is known of the map.
 * @param count How many keys it has.
 * @returns 32-bit words.
 */
export function messageWords({ keyWords, valueWords }: MessageShape, count: number): number {
  return REQUEST_HEAD + count * (keyWords + 2 * valueWords + 1);
}

/**
 * Does a request.
 *
 * @param request Its words, which any thread may have written.
 * @param map The partition.
 * @param shape What is known of it.
 * @returns The reply.
 */
export function answer(
  request: Int32Array,
  map: HashMap<unknown, unknown>,
  shape: MessageShape,
): Int32Array {
  const { keys, values, keyWords, valueWords } = shape;
  const what = request[WHAT] as number;
  const each = keyWords +
    valueWords * (what === EXCHANGE ? 2 : what === GET || what === DELETE ? 0 : 1);
  const most = Math.floor((request.length - REQUEST_HEAD) / each);
  const count = Math.min(Math.max(0, request[COUNT] as number), most);
  const replyEach = what === SET ? 0 : what === DELETE ? 1 : 1 + valueWords;
  const reply = new Int32Array(REPLY_HEAD + count * replyEach);
  reply[REPLY_NUMBER] = request[NUMBER] as number;
  reply[REPLY_SESSION] = request[SESSION] as number;
  try {
    for (let index = 0, at = REQUEST_HEAD, to = REPLY_HEAD; index < count; index++) {
      const key = keys.read(request, at);
      const value = (from: number): unknown => values.read(request, from);
      const found = doOne(what, map, key, at + keyWords, value, {
        flags: request[FLAGS] as number,
        valueWords,
      });
      if (what !== SET) {
        reply[to] = Number(what === DELETE ? found : found !== undefined);
        if (what !== DELETE && found !== undefined) values.write(found, reply, to + 1, "reply");
      }
      at += each;
      to += replyEach;
    }
  } catch (error) {
    const code = error instanceof NumaError ? FAILURES.indexOf(error.code) : -1;
    reply[STATUS] = 1 + (code < 0 ? FAILURES.length - 1 : code);
  }
  return reply;
}

function doOne(
  what: number,
  map: HashMap<unknown, unknown>,
  key: unknown,
  at: number,
  value: (from: number) => unknown,
  { flags, valueWords }: { readonly flags: number; readonly valueWords: number },
): unknown {
  switch (what) {
    case SET:
      return map.set(key, value(at));
    case DELETE:
      return map.delete(key);
    case ADD:
      return map.add(key, value(at) as number);
    case INSERT:
      return map.getOrInsert(key, value(at));
    case EXCHANGE:
      return map.compareExchange(
        key,
        (flags & HAS_EXPECTED) === 0 ? undefined : value(at),
        (flags & HAS_REPLACEMENT) === 0 ? undefined : value(at + valueWords),
      );
    default:
      return map.get(key);
  }
}

/**
 * What a reply says that the owner could not do.
 *
 * @param reply Its words.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `ENOMEM` the partition has no room for another key; `EOWNERDEAD` its owner is being terminated, or
 * has destroyed its memory; `EBUSY` another thread has the key's bucket locked; `EINVAL` memory was written over.
 */
export function checkReply(reply: Int32Array, action: string): void {
  const status = reply[STATUS] as number;
  if (status === DONE) return;
  const code = FAILURES[status - 1] ?? "EINVAL";
  if (code === "ENOMEM") {
    throw new NumaError(code, action, {
      why: "the key's partition has no room for another key",
      fix: "Create it with a greater capacity.",
    });
  }
  if (code === "EBUSY") {
    throw new NumaError(code, action, {
      why: "another thread than the owner has the key's bucket locked",
      fix: "Let nothing but the owner use the partition, and try again.",
    });
  }
  if (code === "EINVAL") {
    throw new NumaError(code, action, {
      why:
        "the owner of the key's partition got another request than was sent, or cannot read its map",
      fix: "Let nothing else write to the map's memory.",
    });
  }
  throw new NumaError("EOWNERDEAD", action, {
    why: "the owner of the key's partition could not do it",
    fix: "Look whether its thread is being terminated, and try again.",
  });
}
