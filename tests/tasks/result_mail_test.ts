import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ResultMail } from "../../lib/tasks/host/result_mail.ts";

const done = (name: number, value: unknown) => ({ type: "done", name, value }) as const;

/** A mail of two workers, and what it tells. */
function open(): { mail: ResultMail; told: string[] } {
  const told: string[] = [];
  const mail = new ResultMail(2, {
    has: () => true,
    actionOf: (name) => `run task ${name}`,
    settle: (worker, name, value) => told.push(`${worker}: ${name} is ${value}`),
    reject: (worker, name, error) => told.push(`${worker}: ${name}: ${error}`),
  });
  return { mail, told };
}

describe("a result that comes by a message", () => {
  it("is told when both have come, in any order", () => {
    const { mail, told } = open();
    mail.look(0, 1);
    assert.deepEqual([mail.size, [...mail.senders]], [1, [0]]);
    mail.hear(0, done(1, "a"));
    mail.hear(1, done(2, "b"));
    assert.equal(mail.isHeard(2), true);
    mail.look(1, 2);
    assert.deepEqual(told, ["0: 1 is a", "1: 2 is b"]);
    assert.equal(mail.size, 0);
  });

  it("rejects its task, and no other, where it cannot be received", () => {
    const { mail, told } = open();
    const error = new Error("no");
    const lost = (worker: number, name: number): string =>
      `${worker}: ${name}: NumaError: Cannot run task ${name}: its result cannot be received (no). ` +
      "Return what this thread can make a copy of.";
    // Before the task was handed in, behind one that was heard and before one that comes.
    mail.hear(0, done(1, "a"));
    mail.miss(0, error);
    mail.hear(0, done(3, "c"));
    mail.look(1, 9);
    mail.look(0, 1);
    mail.look(0, 2);
    mail.look(0, 3);
    assert.deepEqual(told.splice(0), ["0: 1 is a", lost(0, 2), "0: 3 is c"]);
    // Afterwards.
    mail.look(0, 4);
    mail.look(0, 5);
    mail.miss(0, error);
    mail.hear(0, done(5, "e"));
    mail.hear(1, done(9, "i"));
    assert.deepEqual(told, [lost(0, 4), "0: 5 is e", "1: 9 is i"]);
  });

  it("is not missed of a worker that has taken a dead one's place", () => {
    const { mail, told } = open();
    mail.miss(0, new Error("no"));
    mail.look(1, 1);
    assert.deepEqual(mail.bury(0), []);
    assert.deepEqual(mail.bury(1), [1]);
    mail.look(0, 2);
    mail.forget(1);
    mail.hear(0, done(2, "b"));
    assert.deepEqual(told, ["0: 2 is b"]);
    assert.equal(mail.size, 0);
  });
});
