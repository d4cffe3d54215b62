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
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw new NumaError("EINVAL", action, {
    why: `it has no option ${show(other)}`,
    fix: `Give { ${names.join(", ")} }.`,
  });
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
