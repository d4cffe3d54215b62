import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { type LockRow, LOCKS } from "../support/locks.ts";

// Each class of locks has its own acquire and release, because engines compile a method for the classes that it has seen.

/** The file of a class. */
function fileOf({ name, shared }: LockRow): string {
  const base = name.replace(/(?<=.)(?=[A-Z])/g, "_").toLowerCase();
  return `lib/sync/${shared === undefined ? "locks" : "readers"}/${base}.ts`;
}

/** The texts of all methods of a name in a file. */
function methodsIn(file: string, name: string): string[] {
  const text = readFileSync(checkoutFile(file), "utf8");
  return text.match(new RegExp(`^  override ${name}\\([^]+?^  }$`, "gm")) ?? [];
}

describe("the hot methods of a lock", () => {
  for (const name of ["acquire", "release"]) {
    const [first] = LOCKS.flatMap((row) => methodsIn(fileOf(row), name));
    for (const row of LOCKS) {
      it(`${name} of ${row.name} stands in its own class, with the text that all have`, () => {
        const methods = methodsIn(fileOf(row), name);
        assert.equal(methods.length, row.shared === undefined ? 1 : 2);
        for (const method of methods) assert.equal(method, first);
      });
    }
  }

  it("call a core of the class's own type", () => {
    const types = LOCKS.flatMap((row) => {
      const text = readFileSync(checkoutFile(fileOf(row)), "utf8");
      return [...text.matchAll(/^ {2}readonly #core: (\w+);$/gm)].map(([, type]) => type);
    });
    const sides = LOCKS.filter(({ shared }) => shared !== undefined).length;
    assert.equal(new Set(types).size, LOCKS.length + sides, types.join());
  });
});
