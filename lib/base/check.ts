import { NumaError } from "./error.ts";

/**
 * Shows a caller's value in an error message, short and on one line.
 *
 * @param value Anything.
 * @returns Its text.
 */
export function show(value: unknown): string {
  try {
    return shown(value);
  } catch {
    // A revoked proxy, or a getter that throws.
    return typeof value === "object" ? "a value of type object" : typeof value;
  }
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) {
    const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
    return `a value of type ${typeof name === "string" && name !== "" ? name : "object"}`;
  }
  return Object.is(value, -0) ? "-0" : String(value);
}

/**
 * Checks that options are an object, before anything looks into them.
 *
 * @param options What the caller gave.
 * @param example What it should look like.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkOptions(options: unknown, example: string, action: string): void {
  if (typeof options === "object" && options !== null) return;
  throw new NumaError("EINVAL", action, {
    why: `the options are ${show(options)}`,
    fix: `Give ${example}.`,
  });
}

/**
 * Checks that options have no other names than those that are known: what is ignored is not what its author meant.
 *
 * @param options The options.
 * @param names The names.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkOptionNames(options: object, names: readonly string[], action: string): void {
  // No list of keys is made, as some options are looked at in every call. What is inherited is nobody's slip: an
  // AbortController has a signal, and more.
  for (const name in options) {
    if (names.includes(name) || !Object.hasOwn(options, name)) continue;
    throw unknownOption(name, names, action);
  }
}

function unknownOption(name: string, names: readonly string[], action: string): NumaError {
  const near = names.find((each) => isNear(name, each));
  return new NumaError("EINVAL", action, {
    why: `it has no option ${show(name)}`,
    fix: near === undefined ? `Give { ${names.join(", ")} }.` : `Give ${near}.`,
  });
}

/** Whether one of two names begins with the other, or they differ in one or two letters: a slip, and no other idea. */
function isNear(name: string, other: string): boolean {
  const [one, two] = [name.toLowerCase(), other.toLowerCase()];
  if (one.length > 2 && two.length > 2 && (one.startsWith(two) || two.startsWith(one))) return true;
  return distance(one, two) <= Math.min(2, Math.floor(two.length / 3));
}

/** How many letters have to be changed, added or left out (Levenshtein). */
function distance(one: string, two: string): number {
  let row = Array.from({ length: two.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1];
    for (const [at, other] of [...two].entries()) {
      const kept = (row[at] as number) + Number(letter !== other);
      next.push(Math.min(kept, (row[at + 1] as number) + 1, (next[at] as number) + 1));
    }
    row = next;
  }
  return row.at(-1) as number;
}

/**
 * Checks a whole number from a caller before anything else looks at it.
 *
 * @param value What the caller gave.
 * @param name How the argument is called in the message.
 * @param min The least allowed value.
 * @param max The greatest allowed value.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number.
 * @throws {NumaError} `EINVAL`.
 */
export function checkInteger(
  value: unknown,
  name: string,
  min: number,
  max: number,
  action: string,
): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) {
    // Not every runtime takes -0 for an integer.
    if (!Object.is(value, -0)) return value;
  }
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(value)}`,
    fix: `Give a whole number from ${min} to ${max}.`,
  });
}
