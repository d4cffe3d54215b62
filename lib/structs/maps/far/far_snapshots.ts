/**
 * Entries of any length as the words of a snapshot, and back.
 *
 * ```
 *   entry       | key | value |
 *   short       its words
 *   any length  | bytes | their words, of which the last one ends with zeros |
 * ```
 *
 * @module
 */
import { MAX_FAR_KEY, MAX_FAR_VALUE } from "./far_bytes.ts";
import { damaged } from "../../snapshots/snapshot.ts";
import type { Codec } from "../codecs.ts";
import { PIECE_WORDS } from "../../snapshots/pieces.ts";
import { type MapParts, nearCodecOf } from "../map_parts.ts";
import { RecordCodec } from "../record_codec.ts";
import { type FarBytes, wordsOf } from "./far_bytes.ts";
import type { FarCore } from "./far_core.ts";
import { ANY_BYTES, ANY_TEXT, type HashTypeCode } from "./far_settings.ts";
import { blocksOf, type HeapShape } from "./far_heap.ts";

/** Words to which others are added. */
class Piece {
  words: Int32Array = new Int32Array(2 * PIECE_WORDS);
  length = 0;

  add(words: ArrayLike<number>, from: number, count: number): void {
    this.#reserve(count);
    for (let word = 0; word < count; word++) {
      this.words[this.length++] = words[from + word] as number;
    }
  }

  addBytes({ words, length }: FarBytes): void {
    this.add([length], 0, 1);
    this.add(words, 0, wordsOf(length));
  }

  /** Returns what was added, and begins anew. */
  take(): Int32Array {
    const words = this.words.slice(0, this.length);
    this.length = 0;
    if (this.words.length > 4 * PIECE_WORDS) this.words = new Int32Array(2 * PIECE_WORDS);
    return words;
  }

  #reserve(count: number): void {
    if (this.length + count <= this.words.length) return;
    const words = new Int32Array(2 * (this.length + count));
    words.set(this.words.subarray(0, this.length));
    this.words = words;
  }
}

/**
 * Takes the entries of a map, some at a time.
 *
 * @param parts The map.
 * @param far The same.
 * @param check Throws when the map is gone.
 * @returns Pieces of their words.
 * @throws What `check` throws.
 */
export function* farPiecesOf(
  { settings, isFarValue, shape }: MapParts,
  far: FarCore,
  check: () => void,
): Generator<Int32Array> {
  const { keyWords, valueWords } = shape;
  const entryWords = keyWords + far.valueWords;
  const isFarKey = isFar(settings.key);
  const value = new Int32Array(valueWords);
  const piece = new Piece();
  const buckets = far.buckets();
  for (let place = 0; place < buckets; place++) {
    const words = far.copy(place, buckets);
    for (let at = 0; at < words.length; at += entryWords) {
      if (!far.load(words, at, value, true)) continue;
      if (isFarKey) piece.addBytes(far.foundKey);
      else piece.add(words, at, keyWords);
      if (isFarValue) piece.addBytes(far.foundValue);
      else piece.add(value, 0, valueWords);
      if (piece.length < PIECE_WORDS) continue;
      yield piece.take();
      check();
    }
  }
  if (piece.length > 0) yield piece.take();
}

function isFar({ kind }: HashTypeCode): boolean {
  return kind === ANY_BYTES || kind === ANY_TEXT;
}

/** What pieces of a snapshot have in them. */
export interface FarEntries {
  /** How many entries. */
  readonly entries: number;
  /** How many blocks they take. */
  readonly blocks: number;
  /**
   * Reads the entries of a piece.
   *
   * @param piece The piece.
   * @returns Keys and values.
   */
  read(piece: Int32Array): Iterable<[unknown, unknown]>;
}

/** What is known of the map of a snapshot. */
export interface FarTypes {
  readonly keyType: HashTypeCode;
  readonly valueType: HashTypeCode;
  readonly heap: HeapShape;
  /** Words of those that are in buckets. */
  readonly keyWords: number;
  readonly valueWords: number;
  /** Of records. */
  readonly struct: unknown;
}

/** Reads keys or values one after the other. */
class Field {
  /** Blocks of all that were read. */
  blocks = 0;
  readonly #most: number;
  readonly #codec: Codec | undefined;
  readonly #words: Int32Array;
  readonly #text: TextDecoder | undefined;
  readonly #heap: HeapShape;

  constructor(type: HashTypeCode, noun: "the key" | "the value", types: FarTypes) {
    const isKey = noun === "the key";
    this.#most = isKey ? MAX_FAR_KEY : MAX_FAR_VALUE;
    this.#codec = isFar(type) ? undefined : nearCodecOf(type, noun);
    if (this.#codec instanceof RecordCodec) this.#codec.use(types.struct, "restore a hash map");
    this.#words = new Int32Array(isKey ? types.keyWords : types.valueWords);
    this.#heap = types.heap;
    this.#text = type.kind === ANY_TEXT
      ? new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })
      : undefined;
  }

  /** Returns the index behind it. Throws what is caught, where it is none. */
  read(piece: Int32Array, at: number, into: unknown[]): number {
    const codec = this.#codec;
    if (codec !== undefined) {
      const words = this.#words;
      if (at + words.length > piece.length) throw new RangeError("part of an entry");
      words.set(piece.subarray(at, at + words.length));
      const value = codec.read(words, 0);
      // Whether the map would take it.
      codec.write(value, words, 0, "");
      into.push(value);
      return at + words.length;
    }
    const length = piece[at] as number;
    const count = wordsOf(length);
    if (!(length >= 0 && length <= this.#most && at + 1 + count <= piece.length)) {
      throw new RangeError(`${length} bytes`);
    }
    this.blocks += blocksOf(count, this.#heap.blockWords);
    const bytes = new Uint8Array(piece.buffer, piece.byteOffset + 4 * (at + 1), length);
    into.push(this.#text === undefined ? bytes.slice() : this.#text.decode(bytes));
    return at + 1 + count;
  }
}

/**
 * Checks what is in the pieces of a snapshot.
 *
 * @param pieces The pieces.
 * @param types What is known of the map.
 * @param action What was asked, as it follows "Cannot".
 * @returns How much it is, and what reads it.
 * @throws {NumaError} `EBADMSG`.
 */
export function readFarPieces(
  pieces: readonly Int32Array[],
  types: FarTypes,
  action: string,
): FarEntries {
  const keys = new Field(types.keyType, "the key", types);
  const values = new Field(types.valueType, "the value", types);
  function* read(piece: Int32Array): Generator<[unknown, unknown]> {
    for (let at = 0; at < piece.length;) {
      const entry: unknown[] = [];
      at = values.read(piece, keys.read(piece, at, entry), entry);
      yield entry as [unknown, unknown];
    }
  }
  let entries = 0;
  try {
    for (const piece of pieces) for (const _ of read(piece)) entries++;
  } catch (error) {
    throw damaged(action, "an entry is not of its types", error);
  }
  return { entries, blocks: keys.blocks + values.blocks, read };
}
