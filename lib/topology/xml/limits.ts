/**
 * What numakit reads of a description of a machine, and no more. hwloc has no such limits: its time grows with the cube
 * of one object's children, and its memory with the square of all objects, so that a short text could stop a process.
 *
 * @module
 */

/** Objects that one object may contain. */
export const MAX_CHILDREN = 2048;
/** Objects in all. */
export const MAX_OBJECTS = 32_768;
/** The greatest id of a CPU or a node. */
export const MAX_ID = 65_535;
/** How deep elements may be in each other. */
export const MAX_DEPTH = 64;
/** Bytes of a file. */
export const MAX_FILE_BYTES: number = 64 << 20;
