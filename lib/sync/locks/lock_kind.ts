/**
 * The row of a lock: that of every kind, and its traits.
 *
 * @module
 */
import { defineKind, type Kind, type KindRow } from "../../shared/kind.ts";
import type { Lock, LockOptions, LockTraits } from "./lock.ts";

/** The most hand-offs within a domain that a lock's user can ask for. */
export const MAX_PASSES: number = 2 ** 30;

/** The row of a lock. */
export interface LockRow<Options extends LockOptions = LockOptions>
  extends KindRow<Options>, LockTraits {}

/**
 * Defines a lock.
 *
 * @typeParam Type The class.
 * @typeParam Options What its `create` takes.
 * @param row What is known of it, but for the options that every lock takes.
 * @returns The kind.
 * @throws {NumaError} `EINVAL` a name or code that another kind has.
 */
export function defineLock<Type extends Lock, Options extends LockOptions = LockOptions>(
  row: Omit<LockRow<Options>, "accepts">,
): Kind<Type, Options, [], LockRow<Options>> {
  const { option } = row;
  const own = typeof option === "object" ? [option.name] : [];
  return defineKind({ ...row, accepts: ["threads", "statistics", ...own] });
}
