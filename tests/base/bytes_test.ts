import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatBytes, parseBytes } from "../../lib/base/bytes.ts";
import { throwsCode } from "../support/errors.ts";

describe("sizes", () => {
  it("are read in every unit", () => {
    const sizes: [string | number, number][] = [
      [1, 1],
      ["7", 7],
      ["1B", 1],
      ["2 kB", 2000],
      ["1 KiB", 1024],
      ["1.5 MiB", 1572864],
      [" 3GiB ", 3 * 2 ** 30],
      ["1 TiB", 2 ** 40],
      ["1 MB", 1e6],
    ];
    for (const [text, bytes] of sizes) assert.equal(parseBytes(text, "test"), bytes);
  });

  it("are refused when they are none", () => {
    for (const text of ["1 mib", "x", "-1", "1e3", "0.3 B", "1 K", "1 iB", 0, -1, NaN, 2 ** 53]) {
      throwsCode(() => parseBytes(text, "test"), "EINVAL");
    }
  });

  it("are written for people", () => {
    const texts = [0, 1, 1023, 1024, 1536, 2 ** 20, 2 ** 30, 5 * 2 ** 40].map(formatBytes);
    assert.deepEqual(texts, [
      "0 B",
      "1 B",
      "1023 B",
      "1 KiB",
      "1.5 KiB",
      "1 MiB",
      "1 GiB",
      "5 TiB",
    ]);
  });
});
