import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PoolPlaces } from "../../lib/tasks/host/pool_places.ts";
import { WorkerChoice } from "../../lib/tasks/places/worker_choice.ts";
import { LAST_GENERATION, nameOf, placeOf } from "../../lib/tasks/core/task_names.ts";

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
