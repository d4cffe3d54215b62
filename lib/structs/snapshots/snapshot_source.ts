/** Bytes, or pieces of them: a `Uint8Array`, a `ReadableStream`, a stream of Node's, or a list. */
export type SnapshotSource = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
