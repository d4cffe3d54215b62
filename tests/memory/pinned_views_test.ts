import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { Arena, launch, memoryReport } from "../../mod.ts";
import { Mapping, windowBytes } from "../../lib/memory/mapping/mapping.ts";
import { native } from "../../lib/runtime/native.ts";
import { onDeno, onNode20, runModule, sibling } from "../support/checkout.ts";

const MIB = 2 ** 20;
const deflate = promisify(zlib.deflate);

function retired(): number {
  const out = new BigUint64Array(4);
  native().calls.nk_mapping_stats(out);
  return Number(out[2]);
}

/** Destroys arenas while native code uses them. Returns how many more the process keeps for ever, once that is done. */
async function destroyBusy(): Promise<number> {
  const before = { retired: retired(), kept: memoryReport().quarantine.bytes };
  const views: Uint8Array[] = [];
  for (let round = 0; round < 20; round++) {
    const arena = Arena.create({ node: 0, size: MIB });
    views.push(arena.bytes.fill(1));
    const packed = deflate(arena.bytes);
    arena.destroy();
    assert.equal(arena.destroyed, true);
    // Bun lets go of a buffer a moment after it told the result.
    await packed;
    await sleep(1);
  }
  // Any later call detaches what could not be before.
  for (let tries = 0; tries < 200 && views.some(({ length }) => length > 0); tries++) {
    await sleep(10);
    Arena.create({ node: 0, size: 4096 }).destroy();
  }
  assert.deepEqual(views.map(({ length }) => length), views.map(() => 0));
  assert.ok(memoryReport().quarantine.bytes >= before.kept + 20 * MIB);
  return retired() - before.retired;
}

describe("an arena that is destroyed while native code uses it", () => {
  it("has no living view and nothing kept for ever, once that code is done", async () => {
    let kept = await destroyBusy();
    // On Deno what other files' threads leave behind may come to the process's count meanwhile.
    for (let tries = 0; tries < 3 && kept > 0; tries++) kept = await destroyBusy();
    assert.equal(kept, 0);
  });

  it("may be left behind by a thread that returns meanwhile", async () => {
    for (let round = 0; round < 10; round++) {
      const url = sibling(import.meta.url, "../workers/leave_pending");
      assert.equal(await launch<number>(url, { args: { arenas: 4 } }).join(), 4);
      using next = Arena.create({ node: 0, size: 4 * MIB });
      next.bytes.fill(0xa7);
      await sleep(5);
      assert.ok(next.bytes.every((byte) => byte === 0xa7));
    }
  });

  const untold = { skip: onDeno && "Deno tells of no operation on a file that is open" };
  it("is told in debug mode, and nothing is told of one that nobody uses", untold, () => {
    const module = sibling(import.meta.url, "../modules/destroy_pending");
    const { stderr, status } = runModule(module, { env: { NUMAKIT_DEBUG: "1" } });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /numakit: busy of 4 MiB on node 0 was destroyed while/);
    assert.match(stderr, /destroy_pending/);
    assert.doesNotMatch(stderr, /numakit: idle/);
    const quiet = runModule(module, { env: { NUMAKIT_DEBUG: "0" } });
    assert.doesNotMatch(quiet.stderr, /numakit/);
  });

  it("is not copied for that, however much it reserves", () => {
    const { stdout, stderr } = runModule(sibling(import.meta.url, "../modules/destroy_large"));
    assert.ok(stdout !== "" && Number(stdout) < 100, `${stdout} MiB ${stderr}`);
  });

  it("can be destroyed again when that failed because the stack was full", () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    const view = arena.bytes;
    const dive = (): void => {
      try {
        dive();
      } catch {
        // On the way back up: at first nothing at all can be called.
        arena.destroy();
      }
    };
    try {
      dive();
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
    }
    arena.destroy();
    assert.deepEqual([arena.destroyed, view.length], [true, 0]);
  });

  // 4 GiB are the most that Bun shows in one buffer; only Bun has buffers that cannot be detached yet.
  const oneBuffer = {
    skip: (onNode20 || windowBytes() > 2 ** 36) && "no buffer of several is ever in use here",
  };
  it(
    "is kept for ever all the same when another buffer of it was carried off",
    oneBuffer,
    async () => {
      const before = retired();
      const arena = Arena.create({ node: 0, size: MIB, reserve: windowBytes() + MIB });
      const packed = deflate(arena.view(0, MIB));
      const { identity } = arena.toHandle().data as { identity: number };
      const { buffer } = Mapping.attach(identity, "test").window(windowBytes());
      structuredClone(buffer, { transfer: [buffer] });
      arena.destroy();
      assert.equal(retired(), before + 1);
      await packed;
      await sleep(1);
      Arena.create({ node: 0, size: 4096 }).destroy();
      assert.equal(retired(), before + 1);
    },
  );
});
