import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EpochCore } from "../../lib/sync/epoch/epoch_core.ts";
import type { Waiter } from "../../lib/wait/waiter.ts";
import { Epoch, launch, type Thread } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";
import { Crew } from "../support/crew.ts";
import { throwsCode } from "../support/errors.ts";
import { sharedWords } from "../support/words.ts";
import type { EpochTask } from "../workers/epoch.ts";

const module = sibling(import.meta.url, "../workers/epoch");
const SHAPE = { threads: 4, domains: 2 };

function run(args: EpochTask): Thread<number> {
  return launch<number>(module, { args });
}

describe("EpochCore", () => {
  const setup = (): { a: Waiter; b: Waiter; crew: Crew; words: Int32Array; core: EpochCore } => {
    const crew = new Crew();
    const words = sharedWords(EpochCore.words(SHAPE));
    return { a: crew.member(0), b: crew.member(1), crew, words, core: new EpochCore(words, SHAPE) };
  };

  it("is safe after two steps, which wait for who is inside", () => {
    const { a, b, core } = setup();
    core.enter(a);
    const epoch = core.epoch();
    assert.equal(core.advance(b), 0);
    assert.equal(core.advance(b), a.id);
    assert.equal(core.safe(epoch), false);
    core.quiescent(a);
    assert.equal(core.advance(b), 0);
    assert.equal(core.safe(epoch), true);
    assert.equal(core.advance(b), a.id);
    assert.ok(core.exit(a));
    assert.equal(core.advance(b), 0);
  });

  it("nests, and is not fooled by an inner quiescent state", () => {
    const { a, b, core } = setup();
    assert.equal(core.exit(a), false);
    core.enter(a);
    core.enter(a);
    core.advance(b);
    core.quiescent(a);
    assert.equal(core.advance(b), a.id);
    assert.ok(core.exit(a));
    assert.equal(core.advance(b), a.id);
    assert.ok(core.exit(a));
    assert.equal(core.exit(a), false);
    assert.equal(core.advance(b), 0);
  });

  it("forgets the dead, and their slots' next users are not taken for them", () => {
    const { a, b, crew, words, core } = setup();
    core.enter(a);
    core.advance(b);
    assert.equal(core.advance(b), a.id);
    crew.dead.add(a.id);
    assert.equal(core.advance(b), 0);
    const next = crew.member(0, 5);
    const other = new EpochCore(words, SHAPE);
    other.enter(next);
    assert.equal(core.advance(b), 0);
    assert.equal(core.advance(b), 5);
  });

  it("wraps", () => {
    const { a, words, core } = setup();
    words[0] = 2 ** 31 - 2;
    const epoch = core.epoch();
    core.enter(a);
    core.advance(a);
    assert.equal(core.epoch(), -(2 ** 31));
    core.quiescent(a);
    assert.equal(core.safe(epoch), false);
    core.advance(a);
    assert.equal(core.safe(epoch), true);
  });
});

describe("readers in an Epoch, in threads", () => {
  it("take two stores, and no foreign call", () => {
    const epoch = Epoch.create(new SharedArrayBuffer(Epoch.bytes()));
    const readNothing = (): void => {
      epoch.enter();
      epoch.exit();
    };
    readNothing();
    assert.deepEqual(counting(readNothing), { atomics: { store: 2 }, helper: {} });
  });

  it("find no block reused that they look at", async () => {
    const epoch = Epoch.create(new SharedArrayBuffer(Epoch.bytes()));
    const words = sharedWords(3);
    const tasks = ["follow", "follow", "replace"] as const;
    const threads = tasks.map((task) => run({ task, epoch, words, times: 3000 }));
    for (const thread of threads) await thread.join();
    throwsCode(() => epoch.exit(), "EOWNER");
    throwsCode(() => epoch.safe(0.5), "EINVAL");
  });
});
