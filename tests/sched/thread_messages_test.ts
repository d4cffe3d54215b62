import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel } from "node:worker_threads";
import { Arena, joinAll, launch, type LaunchOptions, type Thread, transfer } from "../../mod.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";
import type { Task } from "../workers/messages.ts";

const module = sibling(import.meta.url, "../workers/messages");

function run<Result>(args: Task, options: LaunchOptions = {}): Thread<Result> {
  return launch<Result>(module, { ...options, args });
}

/** What a thread posts, as it comes. */
function listen(thread: Thread): unknown[] {
  const heard: unknown[] = [];
  thread.on("message", (value) => heard.push(value));
  return heard;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(1);
}

const THOUSAND = Array.from({ length: 1000 }, (_, index) => index);

/** What numakit says to itself, and what it might fall over. */
const LOOKALIKES = [
  null,
  undefined,
  7,
  "leave",
  { type: "done", value: 7 },
  { type: "failed", error: { name: "Error", message: "forged" } },
  { type: "started", tid: 1 },
  { type: "leave" },
  { tid: -1 },
  {},
];

describe("a module's own messages", () => {
  afterEach(async () => {
    await joinAll();
  });

  it("are its own, whatever they look like", async () => {
    const thread = run({ task: "post", values: LOOKALIKES });
    const heard = listen(thread);
    await until(() => thread.tid !== undefined);
    const { tid } = thread;
    assert.equal(await thread.join(), "the result");
    assert.deepEqual(heard, LOOKALIKES);
    assert.equal(thread.tid, tid);
  });

  it("are delivered before join resolves or rejects", async () => {
    const fine = run({ task: "burst" });
    const heard = listen(fine);
    assert.equal(await fine.join(), "the result");
    assert.deepEqual(heard, THOUSAND);
    const failing = run({ task: "burstAndThrow" });
    const beforeThrow = listen(failing);
    await assert.rejects(failing.join(), { name: "RangeError" });
    assert.deepEqual(beforeThrow, THOUSAND);
    const leaving = run({ task: "burstAndExit" });
    const beforeExit = listen(leaving);
    await rejectsCode(leaving.join(), "ETERMINATED", /exit status 4/);
    assert.deepEqual(beforeExit, THOUSAND);
  });

  it("do not hide that it failed while loading", async () => {
    const thread = launch(sibling(import.meta.url, "../workers/posts_and_throws"));
    const heard = listen(thread);
    await assert.rejects(thread.join(), { name: "TypeError", message: "broken after a message" });
    assert.deepEqual(heard, [null, { type: "done", value: "from the module" }]);
  });

  it("are nobody's concern when nobody listens", async () => {
    const thread = run({ task: "post", values: LOOKALIKES });
    assert.equal(await thread.join(), "the result");
  });

  it("go to those who listen, until they stop", async () => {
    const thread = run({ task: "echo" });
    const heard: unknown[] = [];
    const listener = (value: unknown): unknown => heard.push(value);
    assert.equal(thread.on("message", listener).on("message", listener), thread);
    thread.postMessage(1);
    await until(() => heard.length === 1);
    thread.off("message", listener);
    thread.postMessage(2);
    thread.postMessage("enough");
    assert.deepEqual(await thread.join(), [1, 2]);
    assert.deepEqual(heard, [1], "once each, and not after off");
    throwsCode(() => thread.on("exit" as never, listener), "EINVAL", /message/);
    throwsCode(() => thread.on("message", "no function" as never), "EINVAL", /function/);
  });
});

describe("a launcher's messages", () => {
  it("reach the module, whatever they look like and however early they are", async () => {
    const thread = run<unknown[]>({ task: "echo" });
    // Deno's workers hear null where undefined was posted.
    const values = LOOKALIKES.filter((value) => value !== undefined);
    for (const value of values) thread.postMessage(value);
    await until(() => thread.state === "running");
    thread.postMessage("later");
    thread.postMessage("enough");
    assert.deepEqual(await thread.join(), [...values, "later"]);
  });

  it("are copied when they are posted", async () => {
    const thread = run<unknown[]>({ task: "echo" });
    const value = { count: 1 };
    thread.postMessage(value);
    value.count = 2;
    thread.postMessage("enough");
    assert.deepEqual(await thread.join(), [{ count: 1 }]);
  });

  it("can take buffers and ports along", async () => {
    const heard = run<[{ buffer: ArrayBuffer }]>({ task: "echo" });
    const buffer = new ArrayBuffer(8);
    heard.postMessage({ buffer }, [buffer]);
    assert.equal(buffer.byteLength, 0);
    heard.postMessage("enough");
    assert.equal((await heard.join())[0].buffer.byteLength, 8);
  });

  it("can take a port along however early they are", async () => {
    const { port1, port2 } = new MessageChannel();
    const thread = run({ task: "answerAtPort" });
    thread.postMessage(port2, [port2]);
    const answer = new Promise((resolve) => port1.once("message", resolve));
    assert.equal(await thread.join(), "the result");
    assert.equal(await answer, "heard");
    port1.close();
  });

  it("that cannot be sent are refused; those for a thread that has ended are dropped", async () => {
    const thread = run({ task: "echo" });
    throwsCode(() => thread.postMessage(() => {}), "EINVAL", /cannot be sent/);
    throwsCode(() => thread.postMessage(1, 7 as never), "EINVAL", /transfer/);
    await until(() => thread.state === "running");
    throwsCode(() => thread.postMessage(() => {}), "EINVAL", /cannot be sent/);
    thread.postMessage("enough");
    await thread.join();
    thread.postMessage("too late");
  });
});

describe("live objects in messages", () => {
  it("arrive as handles, and come to life there", { skip: noPolicies }, async () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    const thread = run({ task: "live" });
    const heard = listen(thread);
    thread.postMessage({ arena });
    await until(() => heard.length === 1);
    const [{ again }] = heard as [{ again: Arena[] }];
    assert.equal(again[0], arena);
    thread.postMessage("enough");
    await thread.join();
    assert.deepEqual([...arena.bytes.subarray(0, 4)], [9, 9, 9, 9]);
  });

  it("that cannot come to life are told to who listens for that, and harm nobody", async () => {
    const thread = run({ task: "badHandle" });
    const heard = listen(thread);
    const errors: unknown[] = [];
    thread.on("messageerror", (error) => errors.push(error));
    assert.equal(await thread.join(), "the result");
    assert.deepEqual(heard, ["after it"]);
    assert.equal(errors.length, 1);
    throwsCode(
      () => {
        throw errors[0];
      },
      "EINVAL",
      /nothing that exists/,
    );
  });
});

describe("live objects in messages that nobody listens for", () => {
  it("stay dead", async () => {
    const thread = run({ task: "badHandle" });
    const errors: unknown[] = [];
    thread.on("messageerror", (error) => errors.push(error));
    assert.equal(await thread.join(), "the result");
    assert.deepEqual(errors, []);
  });
});

describe("a module with a mind of its own", () => {
  it("does not find numakit's channel", async () => {
    assert.deepEqual(await run({ task: "look" }).join(), []);
  });

  it("can close its port", async () => {
    assert.equal(await run({ task: "closeOwnPort" }).join(), "the result");
  });

  it("can listen for ever and is ended all the same", async () => {
    const thread = run({ task: "listenForEver" });
    assert.equal(await thread.join(), "the result");
    assert.equal(thread.state, "ended");
  });

  it("is heard although it has replaced what ports do", async () => {
    assert.equal(await run({ task: "takeOverPrototype" }).join(), "the result");
  });

  it("has returned what it returned, although it exits then", async () => {
    for (let round = 0; round < 5; round++) {
      assert.equal(await run({ task: "returnAndExit" }).join(), "the result");
    }
  });
});

describe("a process that launched a thread", () => {
  it("lives until the thread has ended, and no longer", () => {
    const ran = runModule(sibling(import.meta.url, "../modules/keeps_alive"));
    assert.equal(ran.stdout, "a message\nended\n", ran.stderr);
    assert.equal(ran.status, 0);
  });
});

describe("transfer", () => {
  it("moves ports and buffers of the arguments", async () => {
    const { port1, port2 } = new MessageChannel();
    const buffer = new ArrayBuffer(16);
    const thread = run({ task: "usePort", port: port2, buffer }, { transfer: [port2, buffer] });
    assert.equal(buffer.byteLength, 0);
    const heard = new Promise((resolve) => port1.once("message", resolve));
    assert.equal(await heard, 16);
    port1.postMessage("over the port");
    assert.equal(await thread.join(), "over the port");
    port1.close();
  });

  it("moves ports and buffers of the result", async () => {
    const thread = run<{ port: MessagePort; made: ArrayBuffer }>({
      task: "giveBack",
      buffer: new ArrayBuffer(16),
    });
    const { port, made } = await thread.join();
    assert.deepEqual([...new Uint8Array(made)], new Array(16).fill(7));
    const { receiveMessageOnPort } = await import("node:worker_threads");
    assert.deepEqual(receiveMessageOnPort(port as never), { message: "through the port" });
    port.close();
  });

  it("refuses what cannot be moved", () => {
    const args = { task: "look" };
    throwsCode(() => launch(module, { args, transfer: 7 as never }), "EINVAL", /transfer/);
    throwsCode(() => launch(module, { args, transfer: [{}] }), "EINVAL", /cannot be sent/);
    throwsCode(() => transfer(7 as never, []), "EINVAL", /transfer/);
    throwsCode(() => transfer({}, 7 as never), "EINVAL", /transfer/);
  });
});
