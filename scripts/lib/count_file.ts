/**
 * The file that `scripts/numa_vm --count-to` writes.
 */
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { ShapeError } from "./numa_guest.ts";

function refusing<Result>(file: string, action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    throw new ShapeError(`--count-to "${file}": ${(error as Error).message}`);
  }
}

/**
 * Finds out where the counts are to be written, and touches nothing.
 *
 * @param file What the user wrote.
 * @returns The file itself, where that is a link.
 * @throws {ShapeError} When there is no such folder, or something that is no file.
 */
export function findCounts(file: string): string {
  return refusing(file, () => {
    // Opening a pipe would wait for its other end, and a device would be gone for everybody.
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() === false) throw new Error("it is no regular file");
    const isLink = fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    if (stat !== undefined || isLink) return fs.realpathSync(file);
    return join(fs.realpathSync(dirname(file)), basename(file));
  });
}

/**
 * Finds out before the boot whether the counts can be written, and takes away what an earlier run has left there.
 *
 * @param path What `findCounts` returned.
 * @throws {ShapeError} When they can't.
 */
export function clearCounts(path: string): void {
  refusing(path, () => {
    fs.closeSync(fs.openSync(path, "a"));
    fs.rmSync(path);
  });
}
