import { NumaError } from "../base/error.ts";
import { MAX_CHILDREN, MAX_OBJECTS } from "./xml/limits.ts";

/**
 * Checks a synthetic description for what numakit does not ask hwloc for, as far as its shape can be seen without
 * parsing it. The C helper looks at the same, but cannot say which of the two refuses.
 *
 * @param text The description: `"pack:2 [numa(memory=1GB)] core:8 2"`.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkSynthetic(text: string, action: string): void {
  const fix = "That is a limit of numakit's, not of hwloc's.";
  // What is in parentheses describes objects, and adds none.
  let bare = text;
  for (let before = ""; before !== bare;) {
    before = bare;
    bare = bare.replace(/\([^()]*\)/g, "");
  }
  let [total, level] = [0, 1];
  for (const [, attached, count] of bare.matchAll(/(\[)|(?::|(?<![^\s])(?=\d))(\d*)/g)) {
    if (attached === undefined) {
      const arity = Number(count);
      if (arity > MAX_CHILDREN) {
        throw new NumaError("EINVAL", action, {
          why: `an object would contain ${arity} others, and may ${MAX_CHILDREN}`,
          fix,
        });
      }
      level *= arity;
    }
    total += level;
    if (total > MAX_OBJECTS) {
      throw new NumaError("EINVAL", action, {
        why: `it has more than ${MAX_OBJECTS} objects`,
        fix,
      });
    }
  }
}
