/**
 * The worker's side of {@linkcode PiscinaPool}: runs the files that were written for piscina, as piscina does.
 *
 * @module
 */
import { builtin } from "../../runtime/builtin.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { importModule } from "../../sched/import_module.ts";
import { transfer } from "../../sched/transfer.ts";
import { movedBy } from "./movable.ts";

type TaskFunction = (task: unknown) => unknown;

/** The state that a copy of piscina keeps in a thread. */
interface PiscinaState {
  isWorkerThread: boolean;
  workerData: unknown;
}

/** Functions that were found, by file and name. */
const known = /* @__PURE__ */ new Map<string, TaskFunction>();
/** Copies of piscina that know where they are. */
const told = /* @__PURE__ */ new Set<PiscinaState>();

/** `load` is not called `require`: `deno publish` warns of calls of that which it cannot look into. */
function stateFrom(load: NodeJS.Require, path: string): PiscinaState | undefined {
  try {
    const { commonState } = load(path) as { commonState?: PiscinaState };
    return typeof commonState?.isWorkerThread === "boolean" ? commonState : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Tells the piscina that a file would import that this is one of its workers, before the file is loaded: piscina's exports
 * `isWorkerThread` and `workerData` are made of that when it is.
 *
 * @param filename The file.
 * @param workerData What the pool was given.
 */
function tellPiscina(filename: string, workerData: unknown): void {
  const load = builtin("node:module").createRequire(filename);
  let main: string;
  try {
    main = load.resolve("piscina");
  } catch {
    // The file cannot import it either.
    return;
  }
  // Versions 3 to 5 have it beside their main module.
  const common = builtin("node:path").join(main, "../common.js");
  const state = stateFrom(load, common);
  if (state === undefined || told.has(state)) return;
  told.add(state);
  state.isWorkerThread = true;
  state.workerData = workerData;
}

/** What an export is under a name, whatever kind of module it is in. */
function exportOf(module: Readonly<Record<string, unknown>>, name: string): unknown {
  const { default: main } = module;
  const inner = Object(main) as Record<string, unknown>;
  // What compilers make CommonJS of says so; its default export is one of the properties of `module.exports`.
  const isCompiled = inner["__esModule"] === true;
  if (name !== "default") return module[name] ?? inner[name];
  return isCompiled ? inner["default"] : main;
}

async function functionOf(
  filename: string,
  name: string,
  workerData: unknown,
): Promise<TaskFunction> {
  const key = `${filename}\n${name}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  tellPiscina(filename, workerData);
  const { href } = builtin("node:url").pathToFileURL(filename);
  // It may be exported before it is ready: as a promise.
  const found = await exportOf(await importModule(href), name);
  if (typeof found !== "function") {
    throw new NumaError("EMODULE", `run ${filename}`, {
      why: name === "default"
        ? `its default export is ${show(found)}`
        : `what it exports as "${name}" is ${show(found)}`,
      fix: "Export a function, or a promise of one.",
    });
  }
  known.set(key, found as TaskFunction);
  return found as TaskFunction;
}

async function run(
  filename: string,
  name: string,
  task: unknown,
  workerData: unknown,
): Promise<unknown> {
  const result = await (await functionOf(filename, name, workerData))(task);
  const moved = movedBy(result);
  return moved === undefined ? result : transfer(moved.value, moved.list);
}

/** The tasks of a pool that runs files written for piscina. */
export interface PiscinaTasks {
  /** Calls an export of a file. */
  run(filename: string, name: string, task: unknown): Promise<unknown>;
}

/**
 * The module of such a pool, in a worker.
 *
 * @param workerData What the pool was given.
 * @returns Its functions: {@linkcode NumaError} `EMODULE` rejects when a file has no such function. What `move()` marked in
 * what that returns is transferred.
 */
export function piscinaTasks(workerData: unknown): PiscinaTasks {
  return { run: (filename, name, task) => run(filename, name, task, workerData) };
}
