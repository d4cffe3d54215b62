// What tests/memory/after_destroy_test.ts runs in threads.
import { setTimeout as sleep } from "node:timers/promises";
import { type Handle, NumaError, worker } from "../../mod.ts";
import { type Destroyable, type Kind, KINDS } from "../support/destroyables.ts";
import { onDeno } from "../support/checkout.ts";

/** Word 0 counts what the thread has done, word 1 is what it waits for. */
export type Gate = Int32Array<SharedArrayBuffer>;

export type DestroyTask =
  /** The handles are JSON, because handles in arguments become objects before the function runs. */
  | { readonly task: "late"; readonly gate: Gate; readonly handles: string }
  | { readonly task: "hold"; readonly gate: Gate; readonly objects: Record<string, Destroyable> }
  | {
    readonly task: "use";
    readonly gate: Gate;
    readonly name: string;
    readonly object: Destroyable;
  }
  | { readonly task: "count"; readonly gate: Gate; readonly words: Gate }
  | { readonly task: "giveBack"; readonly object: Destroyable };

const kindOf = (name: string): Kind => KINDS[name] as Kind;

function signal(gate: Gate): void {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
}

function codeOf(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    return error instanceof NumaError ? error.code : String(error);
  }
}

const body = async (task: DestroyTask): Promise<unknown> => {
  switch (task.task) {
    case "late": {
      Atomics.wait(task.gate, 1, 0, 30_000);
      const entries = Object.entries(JSON.parse(task.handles) as Record<string, Handle>);
      return Object.fromEntries(
        entries.map(([name, handle]) => [name, codeOf(() => kindOf(name).attach(handle))]),
      );
    }
    case "hold": {
      const entries = Object.entries(task.objects);
      const views = new Map(
        entries.map(([name, object]) => [name, kindOf(name).views(object)]),
      );
      signal(task.gate);
      Atomics.wait(task.gate, 1, 0, 30_000);
      return entries.map(([name, object]) => {
        const lengths = (): number[] => views.get(name)?.map(lengthOf) ?? [];
        const lives = lengths().every((length) => length > 0);
        const works = codeOf(() => kindOf(name).use(object));
        object.destroy();
        const ends = lengths().every((length) => length === 0);
        return { name, lives, works, ends, then: codeOf(() => kindOf(name).use(object)) };
      });
    }
    case "use":
      for (let round = 1;; round++) {
        kindOf(task.name).use(task.object);
        signal(task.gate);
        // Deno ends a thread only at its event loop.
        if (onDeno && round % 50 === 0) await sleep(0);
      }
    case "count":
      for (let round = 1;; round++) {
        task.words[round % task.words.length] = round;
        signal(task.gate);
        if (onDeno && round % 50 === 0) await sleep(0);
      }
    case "giveBack":
      task.object.destroy();
      return task.object;
  }
};

/** A DataView of a dead buffer has no length but an error. */
function lengthOf(view: ArrayBufferView): number {
  return codeOf(() => view.byteLength) === "none" ? view.byteLength : 0;
}

export default worker(body);
