/** Which suites `scripts/test --only NAME` means. */

/** What a guest's name has in it. Guests take minutes, so the name of a runtime alone does not start them. */
const GUEST = /guest|arm64/i;

function means(part: string, name: string): boolean {
  return name.toLowerCase().includes(part.toLowerCase()) && (!GUEST.test(name) || GUEST.test(part));
}

/**
 * Whether a suite is wanted.
 *
 * @param name The suite's name.
 * @param only Parts of names; all suites are wanted when there are none.
 */
export function isWanted(name: string, only: readonly string[]): boolean {
  return only.length === 0 || only.some((part) => means(part, name));
}

/**
 * The parts that mean no suite.
 *
 * @param only Parts of names.
 * @param names The names of all suites.
 */
export function unknownParts(only: readonly string[], names: readonly string[]): string[] {
  return only.filter((part) => !names.some((name) => means(part, name)));
}
