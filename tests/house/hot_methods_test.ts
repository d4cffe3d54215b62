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

describe("an accessor of numbers", () => {
  const text = readFileSync(checkoutFile("lib/structs/records/number_accessors.ts"), "utf8");
  const classes = [...text.matchAll(/^export class (\w+)Accessor implements [^]+?^}$/gm)]
    .map(([source, name]) => ({ source, name: name as string }));
  /** A class with nothing that tells it from others: of the same value, and another typed array. */
  const form = ({ source, name }: typeof classes[number]): string =>
    source.replaceAll(name, "Type");

  it("was looked for", () => {
    assert.equal(classes.length, 10);
  });

  for (const isBig of [false, true]) {
    const alike = classes.filter(({ name }) => name.startsWith("Big") === isBig);

    it(`of ${isBig ? "bigints" : "numbers"} is a class of its own, with the text that all have`, () => {
      for (const one of alike) {
        assert.ok(one.source.includes(`  readonly #view: ${one.name}Array;\n`));
        assert.equal(form(one), form(alike[0]!));
      }
    });
  }

  it("is the same of numbers and of bigints", () => {
    const [number, big] = [classes[0]!, classes.at(-1)!].map((one) =>
      form(one).replaceAll(/bigint|number/gi, "value")
    );
    assert.equal(big, number);
  });
});
