/**
 * Wrong arguments for every function and every method of `lib/tasks/mod.ts`. They are found by looking at it, so that a new
 * one has to have a row in `tests/support/fuzz_task_kinds.ts`.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NumaError, TaskPool } from "../../mod.ts";
import {
  MODULE,
  TASK_FUNCTIONS,
  TASK_KINDS,
  type TaskKind,
  TASKS_EXPORTED,
} from "../support/fuzz_task_kinds.ts";
import { OURS, variants } from "../support/fuzz_sync_values.ts";
import { noPolicies } from "../support/policies.ts";

/** A call that takes so long is a hang, in milliseconds. */
const HANG_MS = 60_000;
/** Of what starts threads where it is right after all, each so many'th is tried. */
const EVERY = 31;

/** What shows objects in logs has tests of its own. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

type Class = Readonly<Record<string, unknown>> & { readonly prototype: object };
type Call = (...args: readonly unknown[]) => unknown;

const isClass = (value: unknown): boolean =>
  Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false;

function functionsOf(object: object): (string | symbol)[] {
  return Reflect.ownKeys(object).filter((key) =>
    key !== "constructor" && key !== INSPECT &&
    typeof Object.getOwnPropertyDescriptor(object, key)?.value === "function"
  );
}

/** Fails with nothing but NumaErrors and what the caller's own code has thrown. */
function judge(error: unknown, told: string): void {
  if (error === OURS) return;
  // piscina's error of a signal.
  if (error instanceof Error && error.name === "AbortError" && error.cause === OURS) return;
  assert.ok(error instanceof NumaError, `${told}: ${error} ${(error as Error)?.stack}`);
  assert.match(error.message, /^Cannot .+: .+\./s, told);
}

/** Makes a call, and waits for what it gives. */
async function attempt(told: string, call: () => unknown): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it has not ended")), HANG_MS);
  });
  try {
    const given = call();
    const all = Array.isArray(given) ? given : [given];
    for (const each of all) if (each instanceof Promise) each.catch(() => {});
    return (await Promise.race([Promise.all(all), hang]))[0];
  } catch (error) {
    judge(error, told);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

async function callAll(
  title: string,
  call: Call,
  right: () => readonly unknown[],
): Promise<number> {
  let calls = 0;
  for (const [detail, args] of variants(right)) {
    await attempt(`${title}(), ${detail}`, () => call(...args));
    calls++;
  }
  return calls;
}

async function make({ type, statics }: TaskKind, title: string, name: string): Promise<void> {
  let count = 0;
  for (const [detail, args] of variants(statics[name] as () => readonly unknown[])) {
    if (count++ % EVERY !== 0) continue;
    const told = `${title}.${name}(), ${detail}`;
    const made = await attempt(
      told,
      () =>
        name === "constructor"
          ? new (type as new (...args: readonly unknown[]) => unknown)(...args)
          : (type as Record<string, Call>)[name]?.(...args),
    ) as AsyncDisposable | undefined;
    await attempt(told, () => made?.[Symbol.asyncDispose]());
  }
}

describe("what lib/tasks exports", () => {
  it("has rows for all functions and methods", () => {
    const missing: string[] = [];
    for (const [name, value] of Object.entries(TASKS_EXPORTED)) {
      if (!isClass(value)) {
        if (!(name in TASK_FUNCTIONS)) missing.push(name);
        continue;
      }
      const kind = Object.values(TASK_KINDS).find(({ type }) => type === value);
      if (kind === undefined) {
        missing.push(name);
        continue;
      }
      const { prototype } = value as Class;
      const rows = [...Reflect.ownKeys(kind.methods), ...kind.ends];
      missing.push(
        ...functionsOf(prototype).filter((key) => !rows.includes(key)).map(String),
        ...functionsOf(value as Class).filter((key) => !(key in kind.statics)).map(String),
      );
    }
    assert.deepEqual(missing, []);
    assert.ok(Object.keys(TASK_FUNCTIONS).every((name) => name in TASKS_EXPORTED));
  });
});

describe("wrong arguments of tasks", { skip: noPolicies }, () => {
  for (const [title, kind] of Object.entries(TASK_KINDS)) {
    it(`fail with nothing but NumaError, and leave a ${title} that works`, async () => {
      await using object = await kind.make();
      for (const key of Reflect.ownKeys(kind.methods)) {
        const method = Reflect.get(object, key) as Call;
        const right = (): readonly unknown[] => (kind.methods[key] as Call)(object) as unknown[];
        const calls = await callAll(`${title}.${String(key)}`, method.bind(object), right);
        assert.ok(calls > 0);
        await attempt("afterwards", () => method.apply(object, [...right()]));
        if (object instanceof TaskPool) assert.equal(object.pending, 0, String(key));
      }
      for (const name of Object.keys(kind.statics)) await make(kind, title, name);
      for (const key of kind.ends) {
        const other = await kind.make();
        assert.equal(await (Reflect.get(other, key) as Call).call(other), undefined);
        const [first] = Reflect.ownKeys(kind.methods);
        const args = (kind.methods[first as string] as Call)(other) as unknown[];
        await assert.rejects(
          (Reflect.get(other, first as string) as () => Promise<void>).apply(
            other,
            args as [],
          ),
          { code: "ECLOSED" },
        );
      }
    });
  }

  for (const [name, right] of Object.entries(TASK_FUNCTIONS)) {
    it(`fail with nothing but NumaError, and leave a pool that works: ${name}()`, async () => {
      await using pool = await TaskPool.create(MODULE, { threads: 1 });
      await callAll(name, TASKS_EXPORTED[name] as Call, () => right(pool));
      assert.equal(await pool.run("one", [1]), 1);
    });
  }
});
