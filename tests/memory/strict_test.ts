import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Arena,
  bind,
  interleave,
  migrate,
  NodeArray,
  NumaError,
  placement,
  sharedBuffer,
} from "../../mod.ts";
import { MAX_NODES } from "../../lib/topology/nodes.ts";
import { throwsCode } from "../support/errors.ts";
import { withAnswer } from "../support/faults.ts";
import { liveMappings } from "../support/mappings.ts";
import { readNumaMaps } from "../support/numa_maps.ts";
import { noPolicies } from "../support/policies.ts";

// The library's promise is that memory is where it was asked for, or it throws. Here the kernel answers that pages are
// elsewhere, which no kernel does on purpose.

const MIB = 2 ** 20;
const PAGE = 4096;
const options = { skip: noPolicies };

/** While something runs, the kernel says of some pages of a mapping's that they are on the node behind the first. */
function withPagesElsewhere<Result>(
  pages: number,
  body: () => Result,
  concerns: (offset: number) => boolean = () => true,
): Result {
  const { result, asked } = withAnswer("nk_mapping_residency", (ask, _, offset, __, counts) => {
    const told = ask();
    if (told > 0 && concerns(offset)) {
      counts[0] = (counts[0] as number) - pages;
      counts[1] = pages;
    }
    return told;
  }, body);
  assert.ok(asked > 0, "the kernel is asked");
  return result;
}

/** While something runs, the kernel says of some pages of a buffer's that they did not move. */
function withPagesLeft<Result>(
  pages: number,
  body: () => Result,
  concerns: (first: number) => boolean = () => true,
): Result {
  const answer = (ask: () => number, first: number): number => {
    const told = ask();
    return told >= 0 && concerns(first) ? told + pages : told;
  };
  const { result, asked } = withAnswer(
    "nk_buffer_move",
    (ask, _buffer, _bytes, _nodes, _count, first) => answer(ask, first),
    body,
  );
  assert.ok(asked > 0, "the kernel is asked");
  return result;
}

const boundRanges = (): number =>
  readNumaMaps().filter(({ policy }) => /^(bind|interleave)/.test(policy)).length;

/** What throws ESTRICT leaves no mapping and no policy behind. */
function throwsStrict(call: () => unknown, text: RegExp): void {
  const before = { mappings: liveMappings(), ranges: boundRanges() };
  throwsCode(call, "ESTRICT", text);
  assert.deepEqual({ mappings: liveMappings(), ranges: boundRanges() }, before);
}

describe("an arena whose pages the kernel put elsewhere", () => {
  it("is not made", options, () => {
    throwsStrict(
      () => withPagesElsewhere(1, () => Arena.create({ node: 0, size: "1 MiB" })),
      /the kernel has 1 of 256 pages elsewhere\. Look for .* migration daemon/,
    );
    throwsStrict(
      () => withPagesElsewhere(256, () => Arena.create({ node: 0, size: "1 MiB" })),
      /256 of 256 pages/,
    );
  });

  it("is not made when they were taken away again", options, () => {
    const call = () =>
      withAnswer("nk_mapping_residency", (ask, _, __, ___, counts) => {
        const told = ask();
        counts[0] = (counts[0] as number) - 3;
        counts[MAX_NODES] = 3;
        return told;
      }, () => Arena.create({ node: 0, size: "1 MiB" }));
    throwsStrict(call, /3 of 256 pages elsewhere, 3 of which it took away again \(swapped out\)/);
  });

  it("says which node and which system call", options, () => {
    let thrown: unknown;
    try {
      withPagesElsewhere(1, () => Arena.create({ node: 0, size: "1 MiB" }));
    } catch (error) {
      thrown = error;
    }
    assert.ok(thrown instanceof NumaError);
    const { code, node, syscall } = thrown;
    assert.deepEqual({ code, node, syscall }, { code: "ESTRICT", node: 0, syscall: "move_pages" });
  });

  it("does not grow, and stays as it was", options, () => {
    using arena = Arena.create({ node: 0, size: "64 KiB", reserve: "64 MiB" });
    const data = arena.allocInt32(16_384).fill(7);
    // Only what is new is looked at, and one page of it is elsewhere.
    const grown = (offset: number): boolean => offset === 65_536;
    throwsCode(
      () => withPagesElsewhere(1, () => arena.grow("1 MiB"), grown),
      "ESTRICT",
      /1 of 256 pages elsewhere/,
    );
    assert.equal(arena.committed, 65_536);
    throwsCode(() => withPagesElsewhere(1, () => arena.alloc(8 * MIB), grown), "ESTRICT");
    assert.equal(arena.committed, 65_536);
    assert.equal(arena.residency().pages, 16, "what was committed half-way was given back");
    assert.ok(data.every((word) => word === 7));
    // And grows where the kernel does as it was told.
    assert.equal(arena.grow("1 MiB"), 65_536 + MIB);
    arena.allocInt32(MIB / 4).fill(8);
  });

  it("gives back what it had of a growth that failed half-way", options, () => {
    using arena = Arena.create({ node: 0, size: "64 KiB", reserve: "256 MiB" });
    const offsets: number[] = [];
    const call = () =>
      withAnswer("nk_mapping_populate", (ask, _, offset) => {
        offsets.push(offset);
        // ENOMEM at the third of its steps.
        return offsets.length === 3 ? -12 : ask();
      }, () => arena.grow("200 MiB"));
    throwsCode(call, "ENOMEM");
    const step = 64 * MIB;
    assert.deepEqual(offsets, [65_536, 65_536 + step, 65_536 + 2 * step]);
    assert.equal(arena.committed, 65_536);
    assert.deepEqual([...arena.residency().nodes], [[0, 16]]);
  });

  it("is not made for an array over nodes either", options, () => {
    throwsStrict(
      () =>
        withPagesElsewhere(
          1,
          () => NodeArray.create({ type: "float64", length: 131_072, nodes: [0] }),
        ),
      /1 of \d+ pages elsewhere/,
    );
  });
});

describe("memory whose pages the kernel left elsewhere", () => {
  it("is not bound", options, () => {
    const buffer = new SharedArrayBuffer(2 * MIB);
    throwsStrict(
      () => withPagesLeft(2, () => bind(buffer, { node: 0 })),
      /the kernel left 2 of \d+ pages elsewhere\. Check whether/,
    );
    throwsStrict(
      () => withPagesLeft(1, () => sharedBuffer({ node: 0, size: "1 MiB" })),
      /the kernel left 1 of/,
    );
  });

  it("is not bound when pages were taken away again", options, () => {
    const call = () =>
      withAnswer("nk_buffer_move", (ask, _, __, ___, ____, _____, absent) => {
        const told = ask();
        absent[0] = 4;
        return told;
      }, () => bind(new SharedArrayBuffer(2 * MIB), { node: 0 }));
    throwsStrict(call, /left 0 of \d+ pages elsewhere and took 4 away again \(swapped out\)/);
  });

  it("is not interleaved", options, () => {
    throwsStrict(
      () => withPagesLeft(1, () => interleave(new SharedArrayBuffer(2 * MIB), { nodes: [0] })),
      /the kernel left 1 of/,
    );
  });

  it("is not said to have moved", options, () => {
    const words = new Int32Array(new SharedArrayBuffer(2 * MIB)).fill(3);
    throwsStrict(
      () => withPagesLeft(5, () => migrate(words, { node: 0 })),
      /left 5 of \d+ pages elsewhere\./,
    );
    assert.equal(placement(words).absent, 0);
    assert.ok(words.every((word) => word === 3));
  });

  it("is looked at beyond the first step", options, () => {
    const buffer = new SharedArrayBuffer(130 * MIB);
    const firsts: number[] = [];
    const late = (first: number): boolean => {
      firsts.push(first);
      return first > 0 && firsts.length === 3;
    };
    throwsStrict(() => withPagesLeft(1, () => bind(buffer, { node: 0 }), late), /left 1 of \d+/);
    assert.deepEqual(firsts, [0, 64 * MIB / PAGE, 128 * MIB / PAGE]);
    firsts.length = 0;
    using binding = withPagesLeft(0, () => bind(buffer, { node: 0 }), late);
    assert.equal(firsts.length, 3);
    const { nodes, absent, pageNodes } = binding.placement();
    assert.equal(nodes.get(0), binding.boundBytes / PAGE);
    assert.equal(absent, 0);
    assert.ok(pageNodes.every((node) => node === 0), "of each step each page");
  });
});

describe("a node that is named to the kernel", () => {
  it("is the one that was asked for, in each word of a mask", options, () => {
    for (const node of [0, 31, 32, 63, 64, 1000, MAX_NODES - 1]) {
      const masks: bigint[][] = [];
      // ENODEV: the helper is not asked, as this machine has no such nodes.
      const call = () =>
        withAnswer("nk_binding_make", (_, __, ___, ____, mask) => {
          masks.push([...mask as BigUint64Array]);
          return -19;
        }, () => interleave(new SharedArrayBuffer(MIB), { nodes: [node] }));
      throwsCode(call, "ENODEV");
      const all = masks[0] ?? [];
      assert.deepEqual(
        all.flatMap((word, index) => word === 0n ? [] : [[index, word]]),
        [[node >> 6, 1n << BigInt(node % 64)]],
        `node ${node}`,
      );
    }
  });
});
