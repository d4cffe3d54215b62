/** The tests that run unchanged on every runtime: those of the layers and of the house. */
import { globSync } from "node:fs";

/** Folders of tests that run in a way of their own. */
const OTHERS = /^tests\/(counter\/(bounds|counter)_test|(explorer|jsr|numa|packages|walk)\/)/;

/** All of them, in the order in which they run. */
export const unitTests: readonly string[] = globSync("tests/*/*_test.ts")
  .filter((file) => !OTHERS.test(file)).sort();

/**
 * Finds files of tests.
 *
 * @param names Their names without `_test.ts`; with the folder where several have one name.
 * @returns Their paths.
 * @throws {Error} When there is no such file.
 */
export function unitTestsNamed(names: readonly string[]): string[] {
  return names.map((name) => {
    const found = unitTests.find((file) => file.endsWith(`/${name}_test.ts`));
    if (found === undefined) throw new Error(`there is no tests/*/${name}_test.ts`);
    return found;
  });
}
