import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { bool, bytes, f64, i32, struct, text, u8 } from "../../mod.ts";
import { onBun } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";

const Sample = struct({ kind: u8, count: i32, x: f64, on: bool, key: bytes(12), label: text(8) });
const samples = Sample.array(new SharedArrayBuffer(Sample.bytes(1000)));
const { kind, count, x, on, key, label } = samples.fields;
const OPERATIONS = 20_000;
/** Bytes that the test itself may allocate for each operation. */
const NEGLIGIBLE = 0.5;

/** Bodies that go through records. Engines have to compile each before it keeps numbers in registers. */
const BODIES: Readonly<Record<string, () => unknown>> = {
  "small numbers": () => {
    let sum = 0;
    for (let index = 0; index < OPERATIONS; index++) {
      kind.set(index % 1000, index);
      count.set(index % 1000, index);
      sum += kind.get(index % 1000) + (count.get(index % 1000) & 1);
    }
    return sum;
  },
  floats: () => {
    let sum = 0;
    for (let index = 0; index < OPERATIONS; index++) {
      x.set(index % 1000, index * 0.3);
      sum += x.get(index % 1000);
    }
    return sum > 0;
  },
  booleans: () => {
    let sum = 0;
    for (let index = 0; index < OPERATIONS; index++) {
      on.set(index % 1000, sum % 2 === 0);
      if (on.get(index % 1000)) sum++;
    }
    return sum;
  },
  "bytes, written and copied": () => {
    for (let index = 0; index < OPERATIONS; index++) {
      key.set(index % 1000, TWELVE);
      key.copyTo(index % 1000, TWELVE);
    }
  },
  "texts, written": () => {
    for (let index = 0; index < OPERATIONS; index++) {
      label.set(index % 1000, index % 2 === 0 ? "abcdefgh" : "é€");
    }
  },
  "records, copied": () => {
    for (let index = 0; index < OPERATIONS; index++) {
      samples.copyTo(index % 1000, WORDS);
      samples.copyFrom((index + 1) % 1000, WORDS);
    }
  },
};
const TWELVE = new Uint8Array(12);
const WORDS = new Int32Array(Sample.size / 4);

/** Whether a body allocates nothing, three rounds in a row: in one, garbage may be collected as it comes. */
function isQuiet(body: () => unknown, rounds: number): boolean {
  let quiet = 0;
  for (let round = 0; round < rounds && quiet < 3; round++) {
    const before = process.memoryUsage().heapUsed;
    body();
    const bytes = process.memoryUsage().heapUsed - before;
    quiet = bytes >= 0 && bytes <= NEGLIGIBLE * OPERATIONS ? quiet + 1 : 0;
  }
  return quiet === 3;
}

describe("an access to a field", () => {
  const skip = onBun && "JavaScriptCore tells what is on the heap after it has collected garbage";
  for (const [name, body] of Object.entries(BODIES)) {
    it(`allocates nothing: ${name}`, { skip }, () => {
      assert.ok(isQuiet(body, 500));
    });
  }

  it("would be seen to allocate", { skip }, () => {
    let kept: unknown;
    const read = () => {
      for (let index = 0; index < OPERATIONS; index++) kept = samples.read(index % 1000);
    };
    assert.ok(!isQuiet(read, 30));
    assert.equal(typeof kept, "object");
  });

  it("takes no atomic operation, and no call of native code", () => {
    const { atomics, helper } = counting(() => {
      for (const body of Object.values(BODIES)) body();
      samples.write(1, samples.read(0));
    });
    assert.deepEqual([atomics, helper], [{}, {}]);
  });
});
