import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { currentWaiter } from "../../lib/wait/thread_waiter.ts";
import { TaskCore } from "../../lib/tasks/core/task_core.ts";
import { HeldTasks } from "../../lib/tasks/host/held_tasks.ts";
import { PoolPlaces } from "../../lib/tasks/host/pool_places.ts";
import { WorkerChoice } from "../../lib/tasks/places/worker_choice.ts";
import {
  LAST_GENERATION,
  nameOf,
  nearQueue,
  NO_TASK,
  placeOf,
  REMOTE,
} from "../../lib/tasks/core/task_names.ts";

describe("the worker whose queue a task goes to", () => {
  it("is one that is there, also when the last one has left", () => {
    const live = [0, 1, 2];
    const choice = new WorkerChoice(
      { runs: () => false } as never,
      { live } as never,
      { taken: 1 } as never,
      [0, 0, 0],
    );
    while (live.length > 0) {
      const last = choice.any();
      assert.ok(live.includes(last), `${last} is not among ${live}`);
      live.splice(live.indexOf(last), 1);
    }
  });
});

describe("tasks near one node", () => {
  const BUDGET = 2;

  it("are held for its workers unless more than so many are", () => {
    const held = new HeldTasks(() => true);
    for (const name of [1, 2, 3]) {
      assert.equal(held.next(0, BUDGET), NO_TASK, `${name - 1} wait`);
      held.push(name, 1, 1);
    }
    assert.deepEqual([held.next(0, BUDGET), held.next(0, BUDGET), held.size], [1, NO_TASK, 2]);
    assert.equal(held.next(1, BUDGET), 2);
  });

  it("are left to its workers unless more than so many wait for one", () => {
    const victims = [[{ worker: 1, distance: REMOTE }], [{ worker: 0, distance: REMOTE }]];
    const shape = { workers: 2, tasks: 64, victims, budget: BUDGET };
    const words = new Int32Array(new SharedArrayBuffer(4 * TaskCore.words(shape)));
    const core = new TaskCore(words, shape);
    const me = currentWaiter();
    for (let place = 1; place <= 3; place++) {
      assert.equal(core.find(me, 1), NO_TASK, `${place - 1} wait`);
      core.submit(me, nameOf(place, 1), 0, nearQueue(1));
    }
    assert.equal(core.find(me, 1), nameOf(1, 1));
    assert.equal(core.find(me, 1), NO_TASK);
    assert.equal(core.find(me, 0), nameOf(2, 1));
  });
});

describe("the names of tasks", () => {
  it("start again when a place has had them all", () => {
    const places = new PoolPlaces(64, "pool", () => undefined);
    let ended = 0;
    const end = (): void => {
      ended++;
    };
    const place = places.next;
    const take = (): number => {
      const name = places.take(end, end, 0, 0, -1);
      places.resolve(name, undefined, 0);
      return name;
    };
    for (let generation = 1; generation <= LAST_GENERATION; generation++) {
      const name = take();
      if (name <= 0 || placeOf(name) !== place) assert.fail(`${name} in generation ${generation}`);
    }
    assert.equal(take(), nameOf(place, 1));
    assert.equal(ended, LAST_GENERATION + 1);
  });
});
