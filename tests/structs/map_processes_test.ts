import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Arena, HashMap } from "../../mod.ts";
import { checkoutFile, onDeno, sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { inExtent, repeats } from "../support/extent.ts";
import { noPolicies } from "../support/policies.ts";
import { checkWhole, KEYS, SHARED_MAP, valueOf } from "../support/shared_map.ts";

const child = sibling(import.meta.url, "../modules/shared_map");
let names = 0;

function make(): { arena: Arena; map: HashMap<number, Uint8Array> } {
  const name = `shared-map-${process.pid}-${names++}`;
  const arena = Arena.create({ node: 0, size: "256 KiB", name });
  return { arena, map: HashMap.create(arena, SHARED_MAP) };
}

interface Shared {
  readonly arena: Arena;
  readonly map: HashMap<number, Uint8Array>;
}

function start({ arena, map }: Shared, env: Record<string, string>): ChildProcess {
  const flags = onDeno ? ["run", "--allow-all"] : [];
  return spawn(process.execPath, [...flags, fileURLToPath(child)], {
    cwd: checkoutFile("."),
    env: { ...process.env, NAME: arena.label, OFFSET: String(map.offset), ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Resolves once a child writes. */
async function writes({ stdout }: ChildProcess): Promise<void> {
  assert.ok(stdout);
  const [text] = await once(stdout, "data");
  assert.equal(String(text), "writes\n");
}

/** Writes all keys, and takes out every third one. */
function writeAll(map: HashMap<number, Uint8Array>, byte: number): void {
  for (let key = 0; key < KEYS; key++) map.set(key, valueOf(byte));
  for (let key = 0; key < KEYS; key += 3) assert.equal(map.delete(key), true);
  for (let key = 0; key < KEYS; key++) {
    assert.deepEqual(map.get(key), key % 3 === 0 ? undefined : valueOf(byte));
  }
}

describe("a HashMap that processes share", { skip: noPolicies }, () => {
  it("is written to by several at the same time, and no update is lost", async () => {
    const shared = make();
    using _arena = shared.arena;
    const { map } = shared;
    const times = 2000;
    const children = [1, 2].map((seed) =>
      start(shared, { TASK: "count", SEED: `${seed}`, TIMES: `${times}` })
    );
    const ends = children.map((one) => once(one, "exit"));
    await Promise.all(children.map(writes));
    for (let turn = 0; turn < times; turn++) {
      map.update(KEYS, (value = new Uint8Array(40)) => {
        const view = new DataView(value.buffer);
        view.setUint32(0, view.getUint32(0) + 1);
        return value;
      });
    }
    assert.deepEqual(await Promise.all(ends), [[0, null], [0, null]]);
    const count = map.get(KEYS) as Uint8Array;
    assert.equal(new DataView(count.buffer).getUint32(0), 3 * times);
    map.delete(KEYS);
    assert.equal(map.size, checkWhole(map));
  });

  it("survives the death of one in the middle of an update", async () => {
    const shared = make();
    using _arena = shared.arena;
    const { map } = shared;
    const rounds = repeats(inExtent(12, 200));
    for (let round = 0; round < rounds; round++) {
      const isInside = round % 2 === 0;
      const one = start(shared, { TASK: isInside ? "inside" : "for ever", SEED: `${round}` });
      const end = once(one, "exit");
      await writes(one);
      // Somewhere in a write, most likely: it does nothing else.
      if (!isInside) {
        await sleep(round % 7);
        one.kill("SIGKILL");
      }
      // While it dies, too.
      checkWhole(map, false);
      assert.deepEqual(await end, [null, "SIGKILL"]);
      checkWhole(map);
      writeAll(map, round);
      assert.equal(checkWhole(map), KEYS - KEYS / 3);
    }
    // Not one place of a dead process is lost, and `size` is off by one at most for each.
    assert.ok(Math.abs(map.size - (KEYS - KEYS / 3)) <= rounds, `${map.size}`);
  });

  it("is one object in a thread, whatever way it came there", () => {
    const { arena, map } = make();
    using _arena = arena;
    assert.equal(HashMap.open(arena, map.offset), map);
    assert.equal(HashMap.open(Arena.open(arena.label), map.offset), map);
    assert.equal(HashMap.fromHandle(map.toHandle()), map);
  });

  it("is not left locked by a thread that destroys the arena in an update", async () => {
    const shared = make();
    const one = start(shared, { SEED: "7", TIMES: "200000" });
    const end = once(one, "exit");
    await writes(one);
    const { arena, map } = shared;
    throwsCode(() => map.update(1, () => void arena.destroy()), "EDESTROYED");
    assert.deepEqual(await end, [0, null]);
  });

  it("is refused where no other process can find it", () => {
    const memory = new SharedArrayBuffer(HashMap.bytes(SHARED_MAP));
    throwsCode(() => HashMap.create(memory, SHARED_MAP), "EINVAL", /Give an Arena with a name/);
    using plain = Arena.create({ node: 0, size: "256 KiB" });
    throwsCode(() => HashMap.create(plain, SHARED_MAP), "EINVAL", /has no name/);
    throwsCode(() => HashMap.open(plain, 0), "EINVAL", /has no name/);
    const wrong = { ...SHARED_MAP, processes: 1 as unknown as true };
    throwsCode(() => HashMap.create(plain, wrong), "EINVAL", /processes is 1/);
    const { arena, map } = make();
    using _arena = arena;
    const own = HashMap.create(arena, { ...SHARED_MAP, processes: false });
    for (const offset of [-1, 0.5, 64, map.offset + 128, own.offset, 2 ** 40, "0", undefined]) {
      throwsCode(() => HashMap.open(arena, offset as number), "EINVAL");
    }
    throwsCode(() => HashMap.open(undefined as unknown as Arena, 0), "EINVAL");
  });

  it("is for so many threads, and says so", () => {
    const { arena } = make();
    using _arena = arena;
    const maps: HashMap<number, number>[] = [];
    const options = { key: "u32", value: "u32", capacity: 8, processes: true, threads: 2 } as const;
    const add = (): void => {
      for (let count = 0; count < 40; count++) maps.push(HashMap.create(arena, options));
    };
    throwsCode(add, "EAGAIN", /31 locks and structures/);
    assert.ok(maps.length >= 30);
    maps.forEach((one, index) => one.set(index, index));
  });

  it("takes nonsense in its members' words for the dead", () => {
    const { arena, map } = make();
    using _arena = arena;
    writeAll(map, 1);
    const bytes = HashMap.bytes(SHARED_MAP);
    const { buffer, byteOffset } = arena.view(map.offset, bytes);
    const words = new Int32Array(buffer, byteOffset, bytes / 4);
    // Owners of buckets: slots that there are not, and that nobody holds.
    for (const owner of [-1, 0x7fffffff, 4096 + 7, 4095, 1, 8]) {
      for (let at = 32 + 2 * 32; at < words.length - 64; at += 16) {
        if (words[at] === 0) words[at] = owner;
      }
      map.set(1, valueOf(2));
      assert.deepEqual(map.get(1), valueOf(2));
    }
  });
});
