/**
 * What is in a structure, as bytes for a file: damaged or truncated ones are noticed before anything is done with them.
 *
 * ```
 *   "numakit" 0x0a | frame: the header | frame: words | … | frame of 0 bytes
 *
 *   frame      | bytes: 32 bits | so many bytes | SHA-256 of the digest before and these bytes: 32 bytes |
 *   header     JSON: { "format": 1, "kind": …, and what the structure has to know }
 * ```
 *
 * The first digest is that of the frame's bytes behind 32 zero bytes. Numbers are little-endian, as words are on all
 * machines that numakit runs on.
 *
 * @module
 */
import { isUint8Array } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";

/** What {@linkcode readSnapshot} found. */
export interface Snapshot {
  /** What the structure has written, and not checked. */
  readonly header: Readonly<Record<string, unknown>>;
  /** Words, in the pieces in which they were written. */
  readonly pieces: readonly Int32Array[];
}

const MAGIC = /* @__PURE__ */ new TextEncoder().encode("numakit\n");
const FORMAT = 1;
const LENGTH_BYTES = 4;
const DIGEST_BYTES = 32;
/** Far more than any structure writes at once. */
const MAX_FRAME_BYTES = 2 ** 28;
/** Streams may give pieces without bytes, but not without an end. */
const MAX_EMPTY = 1000;

async function chained(digest: Uint8Array, bytes: Uint8Array): Promise<Uint8Array> {
  const both = new Uint8Array(DIGEST_BYTES + bytes.length);
  both.set(digest);
  both.set(bytes, DIGEST_BYTES);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", both));
}

function* payloads(header: object, pieces: Iterable<Int32Array>): Generator<Uint8Array> {
  yield new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...header }));
  for (const { buffer, byteOffset, byteLength } of pieces) {
    if (byteLength > 0) yield new Uint8Array(buffer, byteOffset, byteLength);
  }
  yield new Uint8Array(0);
}

/**
 * Makes a stream of bytes.
 *
 * @param header What the structure has to know to read it again.
 * @param pieces Words. They are taken as the stream is read; what they throw is the stream's error.
 * @returns The stream.
 */
export function writeSnapshot(
  header: { readonly kind: string },
  pieces: Iterable<Int32Array>,
): ReadableStream<Uint8Array> {
  const frames = payloads(header, pieces);
  let digest: Uint8Array = new Uint8Array(DIGEST_BYTES);
  return new ReadableStream<Uint8Array>({
    start(controller): void {
      controller.enqueue(MAGIC.slice());
    },
    async pull(controller): Promise<void> {
      const { done, value } = frames.next();
      if (done) return controller.close();
      digest = await chained(digest, value);
      const frame = new Uint8Array(LENGTH_BYTES + value.length + DIGEST_BYTES);
      new DataView(frame.buffer).setUint32(0, value.length, true);
      frame.set(value, LENGTH_BYTES);
      frame.set(digest, LENGTH_BYTES + value.length);
      controller.enqueue(frame);
    },
    cancel(): void {
      frames.return(undefined);
    },
  });
}

/** A copy, because others may write to it meanwhile. One that was transferred away is empty. */
function copyOf(bytes: Uint8Array): Uint8Array {
  // Not `slice`, which of a Buffer is no copy.
  return bytes.length === 0 ? new Uint8Array(0) : new Uint8Array(bytes);
}

/** A snapshot's bytes, as they come. No more is asked for than is needed. */
class Input {
  readonly #pieces: AsyncGenerator<Uint8Array, void>;
  readonly #action: string;
  #piece: Uint8Array = new Uint8Array(0);
  /** How much of the piece was taken. */
  #taken = 0;
  /** How much was taken of all. */
  at = 0;

  constructor(source: unknown, action: string) {
    this.#pieces = piecesIn(source, action);
    this.#action = action;
  }

  /** The next bytes. */
  async take(length: number): Promise<Uint8Array> {
    let found = 0;
    const parts: Uint8Array[] = [];
    while (found < length) {
      if (!await this.#hasMore()) {
        throw damaged(this.#action, `it ends too early, after ${this.at + found} bytes`);
      }
      const to = Math.min(this.#piece.length, this.#taken + length - found);
      parts.push(this.#piece.subarray(this.#taken, to));
      found += to - this.#taken;
      this.#taken = to;
    }
    this.at += length;
    if (parts.length === 1) return parts[0] as Uint8Array;
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** Nothing may be left. */
  async end(): Promise<void> {
    if (!await this.#hasMore()) return;
    throw damaged(this.#action, `more follows after its end at byte ${this.at}`);
  }

  async close(): Promise<void> {
    await this.#pieces.return();
  }

  async #hasMore(): Promise<boolean> {
    for (let empty = 0; this.#taken === this.#piece.length; empty++) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return false;
      if (empty === MAX_EMPTY) {
        throw damaged(this.#action, `after byte ${this.at} come only pieces without bytes`);
      }
      this.#piece = value;
      this.#taken = 0;
    }
    return true;
  }
}

async function* piecesIn(source: unknown, action: string): AsyncGenerator<Uint8Array, void> {
  if (isUint8Array(source)) return yield copyOf(source);
  const isMany = typeof source === "object" && source !== null && !ArrayBuffer.isView(source) &&
    (Symbol.asyncIterator in source || Symbol.iterator in source);
  for await (const piece of isMany ? source as AsyncIterable<unknown> : [source]) {
    if (!isUint8Array(piece)) {
      throw new NumaError("EINVAL", action, {
        why: `what it is read from ${isMany ? "gave" : "is"} ${show(piece)}`,
        fix: "Give a Uint8Array, or a stream or list of them.",
      });
    }
    yield copyOf(piece);
  }
}

/**
 * The error of a snapshot that is not whole, or not what the structure has written.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param why What is wrong with it.
 * @param cause What was found. Default: nothing.
 * @returns `EBADMSG`.
 */
export function damaged(action: string, why: string, cause?: unknown): NumaError {
  return new NumaError("EBADMSG", action, {
    why,
    fix: "Take another snapshot, or an older one.",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The payloads of all frames, without the last one. */
async function unframed(input: Input, action: string): Promise<Uint8Array[]> {
  const magic = await input.take(MAGIC.length);
  if (MAGIC.some((byte, index) => magic[index] !== byte)) {
    throw damaged(action, "it does not begin as a snapshot does");
  }
  const found: Uint8Array[] = [];
  for (let before: Uint8Array = new Uint8Array(DIGEST_BYTES);;) {
    const head = await input.take(LENGTH_BYTES);
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    if (length > MAX_FRAME_BYTES) {
      throw damaged(action, `its frame at byte ${input.at} has ${length} bytes`);
    }
    const payload = await input.take(length);
    const { at } = input;
    const digest = await input.take(DIGEST_BYTES);
    before = await chained(before, payload);
    if (before.some((byte, index) => digest[index] !== byte)) {
      throw damaged(action, `its checksum at byte ${at} is wrong`);
    }
    if (length === 0) break;
    found.push(payload);
  }
  await input.end();
  return found;
}

function headerOf(payload: Uint8Array | undefined, action: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(payload));
  } catch (error) {
    throw damaged(action, "its header is no JSON", error);
  }
  if (typeof header !== "object" || header === null) throw damaged(action, "it has no header");
  return header as Record<string, unknown>;
}

/**
 * Reads a snapshot, and checks that it is whole.
 *
 * @param source Where its bytes are, from a caller.
 * @param kind What it has to be of.
 * @param action What was asked, as it follows "Cannot".
 * @returns What is in it.
 * @throws {NumaError} `EBADMSG` if it is damaged, truncated or of something else; `EABI` if a later version has written
 * it; `EINVAL`. What the source throws.
 */
export async function readSnapshot(
  source: unknown,
  kind: string,
  action: string,
): Promise<Snapshot> {
  const input = new Input(source, action);
  let first: Uint8Array | undefined;
  let others: Uint8Array[];
  try {
    [first, ...others] = await unframed(input, action);
  } finally {
    await input.close();
  }
  const header = headerOf(first, action);
  if (header["format"] !== FORMAT) {
    throw new NumaError("EABI", action, {
      why: `it is of format ${show(header["format"])}, and this version reads ${FORMAT}`,
      fix: "Use the version that has written it, or a later one.",
    });
  }
  if (header["kind"] !== kind) {
    throw damaged(action, `it is of ${show(header["kind"])} and not of ${kind}`);
  }
  const pieces = others.map((payload) => {
    if (payload.length % 4 !== 0) throw damaged(action, "it has half a word");
    return new Int32Array(payload.slice().buffer);
  });
  return { header, pieces };
}
