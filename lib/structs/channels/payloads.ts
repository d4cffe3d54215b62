/**
 * Values as the bytes of messages.
 *
 * Sending packs a value first, which may run code of the caller's, and uses the channel after that. Receiving loads a
 * message from its lane and takes it out, and unpacks it after that, which may run code of the caller's. So that code
 * finds the channel between two operations, whatever it does there.
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { builtin } from "../../runtime/builtin.ts";
import { Struct } from "../records/struct.ts";
import type { StructArray } from "../records/struct_array.ts";
import type { MessageCore } from "../rings/message_core.ts";
import { messageLength, refuseLength } from "../rings/message_settings.ts";
import { type ChannelCodec, type ChannelSettings, RECEIVE, SEND } from "./channel_settings.ts";

/** How the values of a channel are packed. */
export interface Payload {
  /** Whether packing or unpacking runs code that is not the library's. */
  readonly callsOut: boolean;
  /** How many bytes the value has that was packed last. */
  readonly length: number;
  /**
   * Packs a value.
   *
   * @param value The value.
   * @returns Its bytes; good until something else is packed.
   * @throws {NumaError} `EINVAL`. What the caller's code throws.
   */
  pack(value: unknown): Uint8Array;
  /**
   * Copies the message that was found in a lane.
   *
   * @param lane The lane.
   * @param length The bytes of the message.
   */
  load(lane: MessageCore, length: number): void;
  /**
   * Unpacks the message that was loaded last. Called once.
   *
   * @returns The value.
   * @throws {NumaError} `EINVAL`. What the caller's code throws.
   */
  unpack(): unknown;
}

/** A message that is not one of the channel's. */
function refuseMessage(why: string, cause?: unknown): never {
  throw new NumaError("EINVAL", RECEIVE, {
    why,
    fix: "Let all threads use the same codec, and nothing else write to its memory.",
    cause,
  });
}

const NOTHING: Uint8Array<ArrayBuffer> = /* @__PURE__ */ new Uint8Array(0);

class BytesPayload implements Payload {
  readonly callsOut = false;
  length = 0;
  readonly #maxBytes: number;
  #held = NOTHING;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  pack(value: unknown): Uint8Array {
    this.length = messageLength(value as Uint8Array, this.#maxBytes, SEND);
    return value as Uint8Array;
  }

  load(lane: MessageCore, length: number): void {
    this.#held = lane.copy(length);
  }

  unpack(): unknown {
    const held = this.#held;
    this.#held = NOTHING;
    return held;
  }
}

const MAX_U32 = 2 ** 32 - 1;
const MAX_I32 = 2 ** 31 - 1;

class NumberPayload implements Payload {
  readonly callsOut = false;
  readonly length: number;
  readonly #type: "f64" | "u32" | "i32";
  /** Of one number. */
  readonly #view: Float64Array | Uint32Array | Int32Array;
  readonly #bytes: Uint8Array;
  #loaded = 0;

  constructor(type: "f64" | "u32" | "i32") {
    const makes = { f64: Float64Array, u32: Uint32Array, i32: Int32Array };
    this.#type = type;
    this.#view = new makes[type](1);
    this.#bytes = new Uint8Array(this.#view.buffer);
    this.length = this.#bytes.length;
  }

  pack(value: unknown): Uint8Array {
    if (this.#type === "u32") checkInteger(value, "the number", 0, MAX_U32, SEND);
    else if (this.#type === "i32") checkInteger(value, "the number", -MAX_I32 - 1, MAX_I32, SEND);
    else if (typeof value !== "number") {
      throw new NumaError("EINVAL", SEND, { why: `it is ${show(value)}`, fix: "Give a number." });
    }
    this.#view[0] = value as number;
    return this.#bytes;
  }

  load(lane: MessageCore, length: number): void {
    this.#loaded = length;
    if (length === this.length) lane.read(this.#bytes, length);
  }

  unpack(): unknown {
    if (this.#loaded !== this.length) {
      refuseMessage(`a message has ${this.#loaded} bytes, and a number ${this.length}`);
    }
    return this.#view[0];
  }
}

class ClonePayload implements Payload {
  readonly callsOut = true;
  length = 0;
  readonly #maxBytes: number;
  #held = NOTHING;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  pack(value: unknown): Uint8Array {
    if (value === undefined) {
      throw new NumaError("EINVAL", SEND, {
        why: "it is undefined, which means that there is no message",
        fix: "Send null.",
      });
    }
    const bytes = cloned(value);
    if (bytes.length > this.#maxBytes) refuseLength(bytes.length, this.#maxBytes, SEND);
    this.length = bytes.length;
    return bytes;
  }

  load(lane: MessageCore, length: number): void {
    this.#held = lane.copy(length);
  }

  unpack(): unknown {
    const held = this.#held;
    this.#held = NOTHING;
    try {
      return builtin("node:v8").deserialize(held);
    } catch (cause) {
      refuseMessage(`a message of ${held.length} bytes is no structured clone`, cause);
    }
  }
}

function cloned(value: unknown): Uint8Array {
  try {
    return builtin("node:v8").serialize(value);
  } catch (cause) {
    throw new NumaError("EINVAL", SEND, {
      why: `${show(value)} cannot be cloned: ${
        cause instanceof Error ? cause.message : show(cause)
      }`,
      fix: "Send what structuredClone copies, or give the channel a codec.",
      cause,
    });
  }
}

/** Packs and unpacks records in memory of its own. */
class StructPayload implements Payload {
  readonly callsOut = true;
  readonly length: number;
  readonly #array: StructArray;
  readonly #bytes: Uint8Array;
  #loaded = 0;

  constructor(struct: Struct, maxBytes: number) {
    if (struct.size > maxBytes) refuseLength(struct.size, maxBytes, "use a struct in a channel");
    this.length = struct.size;
    this.#bytes = new Uint8Array(struct.size);
    this.#array = struct.array(this.#bytes);
  }

  pack(value: unknown): Uint8Array {
    // It looks at all fields before it writes any: their getters may come back here.
    this.#array.write(0, value as never);
    return this.#bytes;
  }

  load(lane: MessageCore, length: number): void {
    this.#loaded = length;
    if (length === this.length) lane.read(this.#bytes, length);
  }

  unpack(): unknown {
    if (this.#loaded !== this.length) {
      refuseMessage(`a message has ${this.#loaded} bytes, and a record ${this.length}`);
    }
    return this.#array.read(0);
  }
}

class CodecPayload implements Payload {
  readonly callsOut = true;
  length = 0;
  readonly #codec: ChannelCodec<unknown>;
  readonly #maxBytes: number;
  #scratch: Uint8Array | undefined;
  #held = NOTHING;

  constructor(codec: ChannelCodec<unknown>, maxBytes: number) {
    this.#codec = codec;
    this.#maxBytes = maxBytes;
  }

  pack(value: unknown): Uint8Array {
    // Nobody else's while the codec writes to it: it may come back here.
    const scratch = this.#scratch ?? new Uint8Array(this.#maxBytes);
    this.#scratch = undefined;
    const length = this.#codec.encode(value, scratch);
    this.#scratch = scratch;
    this.length = checkInteger(length, "the codec's number of bytes", 0, this.#maxBytes, SEND);
    if (scratch.length === this.#maxBytes) return scratch.subarray(0, length);
    // It was transferred away.
    this.#scratch = undefined;
    throw new NumaError("EINVAL", SEND, {
      why: "the codec has transferred the array that it was given",
      fix: "Write the bytes into it.",
    });
  }

  load(lane: MessageCore, length: number): void {
    this.#held = lane.copy(length);
  }

  unpack(): unknown {
    const held = this.#held;
    this.#held = NOTHING;
    return this.#codec.decode(held);
  }
}

/**
 * How the values of a channel are packed that says so itself.
 *
 * @param type What its memory says of it.
 * @param maxBytes Bytes of the longest message.
 * @returns A new payload; undefined if it needs a codec.
 */
export function payloadOf(type: ChannelSettings["type"], maxBytes: number): Payload | undefined {
  if (type === "bytes") return new BytesPayload(maxBytes);
  if (type === "clone") return new ClonePayload(maxBytes);
  return type === "custom" ? undefined : new NumberPayload(type);
}

/**
 * How the values of a channel are packed that was given a codec.
 *
 * @param codec The codec.
 * @param maxBytes Bytes of the longest message.
 * @returns A new payload.
 * @throws {NumaError} `EINVAL` a record that is too long.
 */
export function customPayload(codec: Struct | ChannelCodec<unknown>, maxBytes: number): Payload {
  return codec instanceof Struct
    ? new StructPayload(codec, maxBytes)
    : new CodecPayload(codec, maxBytes);
}
