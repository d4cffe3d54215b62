/**
 * Cheap looks at what may change of the machine while a program runs.
 *
 * @module
 */
import { errnoError } from "../base/errno.ts";
import { native } from "../runtime/native.ts";

/** What can change. */
export type MachineAspect =
  /** The CPUs that the process's first thread may run on. */
  | "affinity"
  /** The CPUs of its cpuset. */
  | "cpuset"
  /** The nodes whose memory it may use. */
  | "memory"
  /** The CPUs that are online. */
  | "cpus"
  /** The nodes that are online. */
  | "nodes"
  /** The CPU quota of its cgroups. */
  | "quota";

/** A look: the helper's lines. Equal looks are equal texts. */
export type Look = string;

const FIRST_CAPACITY = 1024;

let out = /* @__PURE__ */ new Uint8Array(0);

/**
 * Looks.
 *
 * Cost: it reads about ten small files of `/proc` and `/sys`.
 *
 * @param root What is put before each path: `""` for this machine; tests give a folder.
 * @returns What there is now.
 * @throws {NumaError} What reading the files gave.
 */
export function lookAtMachine(root = ""): Look {
  if (out.length === 0) out = new Uint8Array(FIRST_CAPACITY);
  const path = new TextEncoder().encode(`${root}\0`);
  for (;;) {
    const needed = native().calls.nk_machine_look(path, out, out.length);
    if (needed < 0) throw errnoError(needed, "nk_machine_look", "look at this machine");
    // Where it just fits, a NUL has taken its last byte.
    if (needed < out.length) return new TextDecoder().decode(out.subarray(0, needed));
    out = new Uint8Array(needed * 2);
  }
}

/**
 * What a look says.
 *
 * @param look The look.
 * @returns The text of each aspect that it has.
 */
export function aspects(look: Look): Map<string, string> {
  return new Map(
    look.trim().split("\n").map((line) => {
      const at = line.indexOf(" ");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/**
 * What differs between two looks.
 *
 * @param before One.
 * @param after The other.
 * @returns The aspects, in the order of their lines; one that only one of them has differs.
 */
export function differences(before: Look, after: Look): MachineAspect[] {
  const [old, now] = [aspects(before), aspects(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].filter((name) => name !== "");
  return names.filter((name) => old.get(name) !== now.get(name)) as MachineAspect[];
}
