/**
 * Mappings that a copy of numakit holds, and what that means to other copies in the same thread: to the C helper a thread
 * holds a mapping once, so that the second copy would take it from the first.
 *
 * @module
 */
import { allCopies } from "../../base/copies.ts";
import { NumaError } from "../../base/error.ts";
import { VERSION } from "../../base/version.ts";

/** What this copy holds in this thread, by identity; other copies are told. */
export class HeldMappings<Mapping extends object> extends Map<number, Mapping> {
  override set(identity: number, mapping: Mapping): this {
    allCopies().mappings.set(identity, { version: VERSION, mapping });
    return super.set(identity, mapping);
  }

  override delete(identity: number): boolean {
    allCopies().mappings.delete(identity);
    return super.delete(identity);
  }
}

/**
 * Refuses what another copy in this thread holds.
 *
 * @param identity The mapping, which this copy does not hold.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function refuseOthers(identity: number, action: string): void {
  const other = allCopies().mappings.get(identity);
  if (other === undefined) return;
  throw new NumaError("EINVAL", action, {
    why:
      `another copy of numakit (${other.version}) in this thread has it, and this one cannot share it`,
    fix:
      "Let all modules of the thread import one copy: bundle them together, or leave numakit out of the bundle.",
  });
}

/**
 * The mapping of another copy in this thread, if it can be looked at.
 *
 * @param identity Which mapping.
 * @returns The object of a copy of this version; null for one of another version; undefined when no copy holds it.
 */
export function ofOthers(identity: number): object | null | undefined {
  const other = allCopies().mappings.get(identity);
  return other === undefined || other.version === VERSION ? other?.mapping : null;
}
