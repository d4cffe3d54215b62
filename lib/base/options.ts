import { checkOptionNames, checkOptions, show } from "./check.ts";
import { NumaError } from "./error.ts";

/**
 * Reads options once, so that they cannot change between two looks, and refuses unknown ones.
 *
 * @typeParam Options The options.
 * @param options What the caller gave.
 * @param names The names of all that there are.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy, without those that are undefined.
 * @throws {NumaError} `EINVAL` no object, or an option that does not exist.
 */
export function readOptions<Options extends object>(
  options: Options,
  names: readonly (keyof Options & string)[],
  action: string,
): Options {
  checkOptions(options, `{ ${names.join(", ")} }`, action);
  checkOptionNames(options, names, action);
  const read: Partial<Options> = {};
  for (const name of names) {
    const value = options[name];
    if (value !== undefined) read[name] = value;
  }
  return read as Options;
}

/**
 * Checks that an option is a function, where it is there.
 *
 * @param value The option.
 * @param name Its name.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkFunction(value: unknown, name: string, action: string): void {
  if (value === undefined || typeof value === "function") return;
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(value)}`,
    fix: "Give a function.",
  });
}

/**
 * Checks that an option is a boolean, where it is there.
 *
 * @param value The option.
 * @param name Its name.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkBoolean(value: unknown, name: string, action: string): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(value)}`,
    fix: "Give true or false.",
  });
}

/**
 * Checks that an option is a signal, where it is there.
 *
 * @param signal The option.
 * @param action What was asked, as it follows "Cannot".
 * @returns The signal.
 * @throws {NumaError} `EINVAL`.
 */
export function checkSignal(signal: unknown, action: string): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new NumaError("EINVAL", action, {
    why: `signal is ${show(signal)}`,
    fix: "Give an AbortSignal.",
  });
}
