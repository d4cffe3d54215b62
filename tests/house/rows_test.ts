import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as sync from "../../lib/sync/mod.ts";
import { EXPORTED, SYNC_KINDS } from "../support/fuzz_sync_kinds.ts";
import { coreName, LOCKS } from "../support/locks.ts";
import { filesIn, textOf } from "../support/sources.ts";

// What is missing in a list that tests go through is tested by nobody.

const SPECS = "tests/explorer/specs";

/** Cores that have no spec of their name: why not. */
const NO_SPEC: Readonly<Record<string, string>> = {
  "lib/sync/locks/lock_core.ts": "what all locks' algorithms can do",
  "lib/sync/locks/queue_core.ts":
    "a part of others: specs/mcs.ts and specs/cna.ts each find all bugs of queue_mutants.ts in it",
};

type Class = { readonly prototype: object };

/** By their exported names. */
const classes: readonly (readonly [string, Class])[] = Object.entries(
  EXPORTED as Record<string, Class>,
).filter(([, type]) => Object.getOwnPropertyDescriptor(type, "prototype")?.writable === false);

describe("a class that lib/sync/mod.ts or lib/structs/mod.ts exports", () => {
  it("was looked for", () => {
    assert.ok(classes.length > 15, `${classes.length} classes`);
  });

  it("has a row in tests/support/locks.ts if it is a lock", () => {
    const rows = LOCKS.map(({ type }) => type as unknown);
    const forgotten = classes.filter(([, type]) =>
      type.prototype instanceof sync.Lock && !rows.includes(type)
    );
    assert.deepEqual(forgotten.map(([name]) => name), []);
  });

  it("has a row in tests/support/fuzz_sync_kinds.ts, of its own or as a lock", () => {
    const rows = Object.values(SYNC_KINDS).map(({ type }) => type);
    const forgotten = classes.filter(([, type]) => !rows.includes(type));
    assert.deepEqual(forgotten.map(([name]) => name), []);
  });
});

describe("a row of tests/support/locks.ts", () => {
  const cores = filesIn("lib", "_core.ts").map(textOf).join("\n");

  it("is of a class that lib/sync/mod.ts exports, by its name", () => {
    const exported = new Map<string, unknown>(classes);
    const strangers = LOCKS.filter(({ name, type }) => exported.get(name) !== type);
    assert.deepEqual(strangers.map(({ name }) => name), []);
  });

  it("is there once, and has a core of its own", () => {
    assert.equal(new Set(LOCKS.map(({ type }) => type)).size, LOCKS.length);
    assert.equal(new Set(LOCKS.map(({ core }) => core)).size, LOCKS.length);
  });

  it("has a core whose class is called like its own", () => {
    const missing = LOCKS.map(coreName).filter((name) => !cores.includes(`export class ${name} `));
    assert.deepEqual(missing, []);
  });
});

describe("an algorithm", () => {
  const cores = filesIn("lib", "_core.ts");
  const specs = filesIn(SPECS, ".ts");
  /** `lib/sync/locks/mcs_core.ts` has `tests/explorer/specs/mcs.ts`. */
  const specOf = (file: string): string =>
    `${SPECS}/${file.slice(file.lastIndexOf("/") + 1).replace(/_core\.ts$/, ".ts")}`;

  it("was looked for", () => {
    assert.ok(cores.length > 15, `${cores.length} cores`);
  });

  it("has a spec of its name that the explorer runs, with seeded bugs in it", () => {
    const forgotten = cores.filter((file) => {
      const spec = specOf(file);
      const isThere = specs.includes(spec) && textOf(spec).includes(`"${file}"`);
      return !isThere && NO_SPEC[file] === undefined;
    });
    assert.deepEqual(forgotten.map((file) => [file, specOf(file)]), [], "or a reason here");
  });

  it("has no reason that holds no more", () => {
    const stale = Object.keys(NO_SPEC).filter((file) =>
      !cores.includes(file) || specs.includes(specOf(file))
    );
    assert.deepEqual(stale, []);
  });
});

describe("a test for machines with several nodes", () => {
  const tests = filesIn("tests/numa", "_test.ts");
  const patterns = filesIn("scripts", ".ts").flatMap((file) =>
    [...textOf(file).matchAll(/\btests: \/(.+?)\/[,\s]/g)].map(([, found]) => found as string)
  );

  it("was looked for", () => {
    assert.ok(tests.length > 3 && patterns.length > 2, `${tests.length} tests, ${patterns}`);
  });

  it("is run by some guest of the gate", () => {
    const forgotten = tests.filter((file) => !patterns.some((found) => RegExp(found).test(file)));
    assert.deepEqual(forgotten, [], "give a guest of scripts/ a pattern that finds them");
  });
});
