/**
 * Every method of every class of `lib/sync/mod.ts` and `lib/structs/mod.ts` with wrong arguments. The methods are found by looking at the classes,
 * so that one without a row in `fuzz_sync_kinds.ts` is noticed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { Guard, NumaError } from "../../mod.ts";
import { membersOf } from "./destroyables.ts";
import type { Memory, SyncFunction, SyncKind } from "./fuzz_row.ts";
import { arenaMemory, EXPORTED, SYNC_FUNCTIONS, SYNC_KINDS } from "./fuzz_sync_kinds.ts";
import { detach, OURS, ownWords, variants } from "./fuzz_sync_values.ts";

/** A wait that has been let go on and takes so long is a hang. */
const HANG_MS = 5000;

const shared: Memory = (bytes) => new SharedArrayBuffer(bytes);
const kinds = Object.entries(SYNC_KINDS);

type Class = Readonly<Record<string, unknown>> & { readonly prototype: object };

const exported = Object.entries(EXPORTED as Record<string, Class>)
  .filter(([, type]) => typeof type === "function");
const isClass = ([, type]: readonly [string, Class]): boolean =>
  Object.getOwnPropertyDescriptor(type, "prototype")?.writable === false;
const classes = exported.filter(isClass);

function staticsOf(type: Class): string[] {
  return Object.getOwnPropertyNames(type).filter((name) => typeof type[name] === "function");
}

/** Whether a member is a method; the others are getters. */
function isMethod(object: object, member: string | symbol): boolean {
  for (let type = object; type !== null; type = Object.getPrototypeOf(type)) {
    const found = Object.getOwnPropertyDescriptor(type, member);
    if (found !== undefined) return typeof found.value === "function";
  }
  return false;
}

/** Not asked of users, or only by the subclasses of a class. */
const INTERNAL = ["checkWait", "constructor"];

/** What the rows leave out: functions, classes, static methods and methods. */
export function uncovered(): string[] {
  const missing = exported.filter((entry) => !isClass(entry))
    .map(([name]) => name).filter((name) => !(name in SYNC_FUNCTIONS));
  for (const [name, type] of classes) {
    const rows = kinds.filter(([, kind]) => kind.type === type);
    if (rows.length === 0) missing.push(name);
    for (const [title, kind] of rows) {
      const object = kind.make(shared);
      const wanted = membersOf(object).filter((member) => isMethod(object, member));
      missing.push(
        ...wanted.filter((member) =>
          !(member in kind.methods) && !INTERNAL.includes(String(member))
        )
          .map((member) => `${title}: ${String(member)}()`),
        ...staticsOf(type).filter((member) => !(member in kind.statics))
          .map((member) => `${title}: static ${member}()`),
      );
    }
  }
  return missing;
}

/** Where an object is when it is called. */
interface Stage {
  readonly object: object;
  /** Lets its waits go on. */
  end(): void;
  /** Fails unless it works, once its waits have ended. */
  check(): void | Promise<void>;
}

const nothing = (): void => {};

const STATES: Readonly<Record<string, (kind: SyncKind) => Promise<Stage | undefined>>> = {
  free(kind) {
    const object = kind.make(shared);
    const end = () => kind.end?.(object);
    return Promise.resolve({ object, end, check: () => kind.use?.(object) });
  },
  async held(kind) {
    if (kind.hold === undefined) return undefined;
    const object = kind.make(shared);
    const release = await kind.hold(object);
    const end = () => {
      release();
      kind.end?.(object);
    };
    return { object, end, check: () => kind.use?.(object) };
  },
  destroyed(kind) {
    const { memory, arena } = arenaMemory();
    const object = kind.make(memory);
    arena.destroy();
    return Promise.resolve({ object, end: nothing, check: nothing });
  },
  detached(kind) {
    let words = ownWords(0);
    const object = kind.make((bytes) => words = ownWords(bytes));
    detach(words);
    return Promise.resolve({ object, end: nothing, check: nothing });
  },
};

function judge(error: unknown): void {
  if (error === OURS) return;
  if (!(error instanceof NumaError)) throw error;
  if (!/^Cannot .+: .+\./s.test(error.message)) throw new Error(`it says "${error.message}"`);
}

/** A number that a caller gets is one. */
function checkAnswer(result: unknown): void {
  const fields = typeof result === "object" && result !== null &&
      Object.getPrototypeOf(result) === Object.prototype
    ? Object.entries(result)
    : [["the answer", result] as const];
  for (const [key, value] of fields) {
    if (Number.isNaN(value) || (fields.length > 1 && value === undefined)) {
      throw new Error(`${key} is ${value}`);
    }
  }
}

function consume(result: unknown): void {
  if (result instanceof Guard) result.release();
  else if (result !== null && typeof result === "object" && Symbol.iterator in result) {
    for (const item of result as Iterable<unknown>) checkAnswer(item);
  } else checkAnswer(result);
}

async function settle(promise: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it has not ended")), HANG_MS);
  });
  try {
    consume(await Promise.race([promise, hang]));
  } finally {
    clearTimeout(timer);
  }
}

/** Makes one call: what it does may only fail with a NumaError, must end, and leaves what works. */
async function attempt(call: () => unknown, { end, check }: Omit<Stage, "object">): Promise<void> {
  let result: unknown;
  try {
    result = call();
    if (!(result instanceof Promise)) consume(result);
  } catch (error) {
    judge(error);
  }
  // Before anything is awaited, so that it may go on at once.
  const settled = result instanceof Promise ? settle(result).catch(judge) : undefined;
  try {
    end();
  } finally {
    await settled;
  }
  await check();
}

/** What went wrong, by call; a few of each. */
export class Findings {
  /** How many calls were made. */
  calls = 0;
  readonly #found = new Map<string, string[]>();

  async try(
    told: string,
    detail: string,
    call: () => unknown,
    stage: Omit<Stage, "object">,
  ): Promise<void> {
    this.calls++;
    try {
      await attempt(call, stage);
    } catch (error) {
      const list = this.#found.get(told) ?? [];
      this.#found.set(told, list);
      list.push(`${detail}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** One line for each call that failed, with the first of its arguments. */
  get lines(): string[] {
    return [...this.#found].map(([told, [first, ...others]]) =>
      `${told}, ${first}${others.length > 0 ? ` (and ${others.length} more)` : ""}`
    );
  }
}

async function callMethods(title: string, kind: SyncKind, findings: Findings): Promise<void> {
  for (const [state, prepare] of Object.entries(STATES)) {
    const dead = state === "destroyed" || state === "detached";
    let stage = await prepare(kind);
    if (stage === undefined) continue;
    for (const member of membersOf(stage.object)) {
      if (isMethod(stage.object, member)) continue;
      const object = stage.object as Record<string | symbol, unknown>;
      await findings.try(`${title}.${String(member)} of one ${state}`, "", () => object[member], {
        end: nothing,
        check: nothing,
      });
    }
    for (const member of Reflect.ownKeys(kind.methods)) {
      const right = kind.methods[member] as (object: object) => readonly unknown[];
      let given: object = stage.object;
      for (const [detail, args] of variants(() => right(given))) {
        const { object } = stage;
        const method = (object as Record<string | symbol, unknown>)[member] as () => unknown;
        const told = `${title}.${String(member)}() of one ${state}`;
        await findings.try(told, detail, () => method.apply(object, args as []), stage);
        // What is gone stays so.
        if (!dead) stage = await prepare(kind) as Stage;
        given = stage.object;
      }
    }
    if (!dead) stage.end();
  }
}

/** So many turns of the microtask queue are enough for what follows on the end of a wait. */
const TURNS = 12;

/** Waits that do not block, whose arena goes while they wait, or when they have just ended. */
async function destroyMeanwhile(title: string, kind: SyncKind, findings: Findings): Promise<void> {
  for (const member of Object.keys(kind.methods).filter((member) => member.endsWith("Async"))) {
    for (const isHeld of [true, false]) {
      for (let turn = 0; turn < 2 * TURNS; turn++) {
        const { memory, arena } = arenaMemory();
        const object = kind.make(memory);
        const release = isHeld ? await kind.hold?.(object) : undefined;
        const check = (): void => {
          try {
            release?.();
          } catch (error) {
            judge(error);
          }
        };
        const right = kind.methods[member] as SyncKind["methods"][string];
        const args = right(object);
        const call = async (): Promise<unknown> => {
          const wait = (object as Record<string, (...args: readonly unknown[]) => unknown>)
            [member]?.(...args);
          // One that ends in time, and one that has to be told.
          if (turn >= TURNS) {
            release?.();
            kind.end?.(object);
          }
          for (let passed = turn % TURNS; passed > 0; passed--) await undefined;
          arena.destroy();
          return await wait;
        };
        const told = `${title}.${member}() of one ${isHeld ? "held" : "free"} that is destroyed`;
        await findings.try(told, `after ${turn} turns`, call, { end: nothing, check });
      }
    }
  }
}

async function callStatics(title: string, kind: SyncKind, findings: Findings): Promise<void> {
  const type = kind.type as Record<string, (...args: readonly unknown[]) => unknown>;
  const memories: readonly Memory[] = [shared, ownWords];
  for (const [member, right] of Object.entries(kind.statics)) {
    for (const memory of memories) {
      const object = kind.make(shared);
      const stage = { end: nothing, check: () => kind.use?.(object) };
      for (const [detail, args] of variants(() => right(object, memory))) {
        const call = () => type[member]?.(...args);
        await findings.try(`${title}.${member}()`, detail, call, stage);
      }
    }
  }
}

/** The first slot that no thread and no wait has. */
function freeSlot(): number {
  const { lot, id, slot } = claimWaiter();
  lot.release(id);
  return slot;
}

/**
 * Calls everything that a class has, wrongly.
 *
 * @param title Its row.
 * @returns What went wrong, and how many calls there were.
 */
export async function fuzzKind(title: string): Promise<Findings> {
  const kind = SYNC_KINDS[title] as SyncKind;
  const findings = new Findings();
  const free = freeSlot();
  await callMethods(title, kind, findings);
  await destroyMeanwhile(title, kind, findings);
  await callStatics(title, kind, findings);
  await findings.try(title, "all its waits are over", async () => {
    // The one that a thread's asynchronous waits share is given back a moment after the last of them.
    for (let tries = 0; tries < 100 && freeSlot() > free; tries++) await sleep(1);
    const slot = freeSlot();
    if (slot > free) throw new Error(`${slot - free} or more have kept their slots`);
  }, { end: nothing, check: nothing });
  return findings;
}

/**
 * Calls a function wrongly.
 *
 * @param name Its row.
 * @returns What went wrong, and how many calls there were.
 */
export async function fuzzFunction(name: string): Promise<Findings> {
  const { call, right, undo } = SYNC_FUNCTIONS[name] as SyncFunction;
  const findings = new Findings();
  for (const [detail, args] of variants(right)) {
    await findings.try(`${name}()`, detail, () => call(...args), { end: undo, check: nothing });
  }
  return findings;
}
