import { arch } from "node:process";
import { native } from "../../lib/runtime/native.ts";
import { onBun } from "./checkout.ts";

/** What a body made others do. */
export interface Counted {
  /** Calls of Atomics, by method. */
  readonly atomics: Record<string, number>;
  /** Calls of the C helper, by function. */
  readonly helper: Record<string, number>;
}

/**
 * What the functions of `lib/wait/loads.ts` come to on this runtime and processor.
 *
 * @param loads How many of `loadShared`, `loadFollowing` and `storeLeading`.
 * @param others Other atomics, by method.
 * @returns All atomics, by method.
 */
export function withLoads(
  { shared = 0, following = 0, leading = 0 }: {
    readonly shared?: number;
    readonly following?: number;
    readonly leading?: number;
  },
  others: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const onX64 = arch === "x64";
  const all = { load: onX64 ? 0 : following, store: onX64 ? 0 : leading };
  all[onX64 && onBun ? "store" : "load"] += shared;
  const sums = { ...others };
  for (const [name, count] of Object.entries(all)) {
    if (count > 0) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

/** Runs a body and counts its atomics and its calls of the C helper. */
export function counting(body: () => void): Counted {
  const counted: Counted = { atomics: {}, helper: {} };
  type Methods = Record<string, (...args: unknown[]) => unknown>;
  const replace = (object: Methods, names: readonly string[], counts: Record<string, number>) => {
    const real = Object.fromEntries(names.map((name) => [name, object[name]]));
    for (const name of names) {
      object[name] = (...args) => {
        counts[name] = (counts[name] ?? 0) + 1;
        return (real[name] as (...args: unknown[]) => unknown)(...args);
      };
    }
    return () => Object.assign(object, real);
  };
  const atomics = Atomics as unknown as Methods;
  const names = Object.getOwnPropertyNames(Atomics).filter((name) =>
    typeof atomics[name] === "function"
  );
  const helper = native() as unknown as { calls: Methods };
  const { calls } = helper;
  helper.calls = { ...calls };
  const undoHelper = replace(helper.calls, Object.keys(calls), counted.helper);
  const undoAtomics = replace(atomics, names, counted.atomics);
  try {
    body();
  } finally {
    undoAtomics();
    undoHelper();
    helper.calls = calls;
  }
  return counted;
}
