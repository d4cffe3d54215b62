/**
 * What piscina's `move()` makes: something to be transferred and not copied.
 *
 * @module
 */

/** Symbols that all copies of piscina share. */
const TRANSFERABLE = /* @__PURE__ */ Symbol.for("Piscina.transferable");
const VALUE = /* @__PURE__ */ Symbol.for("Piscina.valueOf");
/** The mark that `move()` sets: each copy of piscina has its own. */
const MOVABLE = "Piscina.kMovable";

/**
 * Takes apart what `move()` returned.
 *
 * @param value Anything.
 * @returns What is to be sent, and what of it is transferred; undefined when `move()` did not return it.
 */
export function movedBy(
  value: unknown,
): { readonly value: object; readonly list: readonly object[] } | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!(TRANSFERABLE in value && VALUE in value)) return undefined;
  const mark = Object.getOwnPropertySymbols(value).find((one) => one.description === MOVABLE);
  // What is transferable by itself, and was not moved, is copied.
  if (mark === undefined || Reflect.get(value, mark) !== true) return undefined;
  return { value: value[VALUE] as object, list: [value[TRANSFERABLE] as object].flat() };
}
