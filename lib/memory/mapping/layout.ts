/**
 * The memory of an arena: the one place with its layout numbers.
 *
 * ```
 *   small page (4 KiB)                    data, aligned to its page size
 *   +------------------------------------+-----------------+-----------+-----------+
 *   | owner | top | label | note | stack | allocated …     | committed | reserved  |
 *   +------------------------------------+-----------------^-----------+-----------+
 *   0       8     64      128    256                       top * 16
 * ```
 *
 * - `owner`: slot + 1 of the thread that allocates here, 0 for nobody. Taken with a compare-exchange; the C helper
 *   clears it when its owner lets go or dies. Where other processes may have the memory, all 64 bits are the helper's:
 *   the OS thread id and the time the thread began, since ids are given out again.
 * - `top`: the bump pointer in granules of 16 bytes. A plain word: only the owner writes it (and reads its own copy),
 *   and taking ownership orders it. A 32-bit word, because a Float64 costs four times as much on Bun, and 16 bytes a
 *   unit reach 64 GiB.
 * - `label`: what the creator called it, UTF-8 up to the first zero byte, so that any thread's report can name it.
 * - `note`: what was made of it, by kinds of objects that leave no room for that in the data.
 * - `stack`: where it was made, likewise, in debug mode only.
 * - committed: has pages; reserved: has addresses only. How many bytes are committed is known to the C helper.
 *
 * JavaScript may scribble over the header through `arena.bytes.buffer`. That garbles this arena's bookkeeping and
 * nothing else: limits are kept outside, and every view is checked by the runtime.
 *
 * @module
 */

/** Index of the owner word in the header. */
export const OWNER = 0;
/** Index of the bump pointer in the header. */
export const TOP = 2;
/** Words of the header that are in use. */
export const HEADER_WORDS = 3;
/** Where the label is in the header, in bytes. */
export const LABEL_OFFSET = 64;
/** The longest label, with its zero byte. */
export const LABEL_BYTES = 64;
/** Where the note is in the header, in bytes: a multiple of 8. */
export const NOTE_OFFSET = 128;
/** The longest note. */
export const NOTE_BYTES = 128;
/** Where the creator's stack is in the header, in bytes. */
export const STACK_OFFSET = 256;
/** The longest stack, with its zero byte. */
export const STACK_BYTES = 3840;
/** Bytes a unit of the bump pointer. */
export const GRANULE_BYTES = 16;
/** log2 of {@linkcode GRANULE_BYTES}. */
export const GRANULE_SHIFT = 4;
/** The largest arena: what the bump pointer reaches. */
export const MAX_DATA_BYTES: number = 2 ** 32 * GRANULE_BYTES;
