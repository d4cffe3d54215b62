/**
 * A library that lies beside modules which came over https, as it does on JSR: fetched once, kept in the user's cache
 * folder under its SHA-256.
 *
 * First use is synchronous and fetching is not, so a worker fetches while this thread waits for its word.
 *
 * @module
 */
import { builtin } from "../builtin.ts";
import { NumaError } from "../../base/error.ts";
import { isPermissionError, permissionError } from "../permission.ts";
import { hasSum } from "./verify.ts";

const MAX_BYTES = 4 * 2 ** 20;
const TIMEOUT_MS = 30_000;
const FAILED = 2;

/** Runs in the worker: state word, length word, then the bytes or the reason. */
const FETCHER = `
import { workerData } from "node:worker_threads";
const { shared, url } = workerData;
const words = new Int32Array(shared, 0, 2);
const tell = (state, bytes) => {
  new Uint8Array(shared, 8).set(bytes);
  words[1] = bytes.length;
  Atomics.store(words, 0, state);
  Atomics.notify(words, 0);
};
try {
  const response = await fetch(url);
  if (!response.ok) throw new Error("HTTP " + response.status);
  tell(1, new Uint8Array(await response.arrayBuffer()));
} catch (error) {
  tell(${FAILED}, new TextEncoder().encode(String(error)).slice(0, 4096));
}`;

function fetchNow(url: URL, action: string): Uint8Array {
  const shared = new SharedArrayBuffer(MAX_BYTES + 8);
  const words = new Int32Array(shared, 0, 2);
  const entry = new URL(`data:text/javascript,${encodeURIComponent(FETCHER)}`);
  const { Worker } = builtin("node:worker_threads");
  const worker = new Worker(entry, { workerData: { shared, url: url.href } });
  const outcome = Atomics.wait(words, 0, 0, TIMEOUT_MS);
  void worker.terminate();
  const bytes = new Uint8Array(shared, 8, words[1]).slice();
  if (outcome !== "timed-out" && words[0] !== FAILED) return bytes;
  const reason = outcome === "timed-out" ? "it took too long" : new TextDecoder().decode(bytes);
  const refused = new Error(reason);
  if (isPermissionError(refused)) throw permissionError(action, refused);
  throw new NumaError("ELIBRARY", action, {
    why: reason,
    fix:
      `Go online once with --allow-net=${url.host}; from then on it is in the cache. Or name a build ` +
      "of it in NUMAKIT_LIBRARY.",
  });
}

function cacheFolder(): string {
  const { env } = builtin("node:process");
  const { join } = builtin("node:path");
  // Deno wants a permission for each of them: none is asked that is not needed.
  return join(
    env["XDG_CACHE_HOME"] || join(env["HOME"] || builtin("node:os").homedir(), ".cache"),
    "numakit",
  );
}

/**
 * The path of a library in the user's cache folder, fetched if it is not there yet.
 *
 * @param url Where it comes from.
 * @param sha256 What it has to hash to.
 * @returns The path.
 * @throws {NumaError} `ELIBRARY` when it cannot be fetched or is not the right one; `EPERM` when the runtime does not
 * allow to fetch it. What it throws when the folder is out of bounds is for the caller to look at.
 */
export function cachedLibrary(url: URL, sha256: string): string {
  const { mkdirSync, readFileSync, renameSync, writeFileSync } = builtin("node:fs");
  const { join } = builtin("node:path");
  const folder = join(cacheFolder(), sha256);
  const path = join(folder, "libnumakit.so");
  try {
    if (hasSum(readFileSync(path), sha256)) return path;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
  }
  const action = `fetch the C helper from ${url.href}`;
  const bytes = fetchNow(url, action);
  if (!hasSum(bytes, sha256)) {
    throw new NumaError("ELIBRARY", action, {
      why: "its SHA-256 is not the one that this version of numakit was built with",
      fix: "Something between here and there changed it; try another network.",
    });
  }
  mkdirSync(folder, { recursive: true });
  // Written aside and moved, so that another process never loads half a file.
  const part = join(folder, `${builtin("node:process").pid}.part`);
  writeFileSync(part, bytes, { mode: 0o755 });
  renameSync(part, path);
  return path;
}
