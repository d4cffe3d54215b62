/**
 * Why a name of memory between processes could not be had or found.
 *
 * @module
 */
import { ERRNO, errnoError } from "../../base/errno.ts";
import type { NumaError, NumaErrorDetails } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { explainCreate, type Refused } from "./explain.ts";

const {
  EPERM,
  ENOENT,
  ENXIO,
  ENOMEM,
  EACCES,
  EEXIST,
  EXDEV,
  ENFILE,
  EMFILE,
  ENOSPC,
  EREMOTE,
  EPROTO,
  EBADMSG,
  ENOTSUP,
  ESTALE,
  EUCLEAN,
} = ERRNO;

/** What `nk_names_folder` tells. */
interface NamesFolder {
  readonly path: string;
  readonly usable: boolean;
  readonly owner: number;
  readonly mode: number;
  readonly contained: boolean;
}

function namesFolder(): NamesFolder {
  const out = new Uint8Array(512);
  const bytes = native().calls.nk_names_folder(out, out.length);
  return JSON.parse(new TextDecoder().decode(out.subarray(0, bytes)));
}

/** The same user in the same container: what both processes need. */
const ONE_CONTAINER =
  "Run both processes in one container, or let the containers share their PID namespace and /dev/shm " +
  "(docker run --pid container:NAME --ipc container:NAME; Kubernetes: shareProcessNamespace).";

function explainNobody(name: string): Partial<NumaErrorDetails> {
  const { path, contained } = namesFolder();
  return {
    why:
      `no process of this user has an arena called "${name}": it was never created, or its creator has ended` +
      (contained ? `; this is a container, and those of others are not in its ${path}` : ""),
    fix:
      "Start the process that makes it first, and keep it running until all others have opened it.",
  };
}

function explainFolder(): Partial<NumaErrorDetails> {
  const { path, owner, mode } = namesFolder();
  return {
    why:
      `the folder of names, ${path}, is not private to this user: it belongs to another one, or others ` +
      `may look into it (owner ${owner}, mode ${mode.toString(8)})`,
    fix: `Remove it (as root: \`rm -r ${path}\`); numakit creates it again, with mode 700.`,
  };
}

function explainEntry(name: string): Partial<NumaErrorDetails> {
  const entry = `${namesFolder().path}/${name}.arena`;
  return {
    why: `${entry} is not a file that belongs to this user and that only this user can write`,
    fix: `Find out what made it, and remove it (\`rm -r ${entry}\`).`,
  };
}

function explainNoFolder(): Partial<NumaErrorDetails> {
  const { path } = namesFolder();
  return {
    why: `names need a folder, and ${path} is not there and cannot be made`,
    fix: "Mount a tmpfs that this user can write to at /dev/shm.",
  };
}

/** By errno: the errno whose code it gets, and what is known. */
type Explanations = Readonly<
  Record<number, (name: string) => readonly [errno: number, Partial<NumaErrorDetails>]>
>;

/** How many file descriptors memory with a name takes. */
const DESCRIPTORS = 3;

function explainDescriptors(what: string): Partial<NumaErrorDetails> {
  return {
    why: `${what} has no file descriptor left`,
    fix:
      `Close files, or raise the limit (\`ulimit -n\`): an arena with a name takes ${DESCRIPTORS}.`,
  };
}

const common = (): Explanations => ({
  [EMFILE]: () => [EMFILE, explainDescriptors("this process")],
  [ENFILE]: () => [EMFILE, explainDescriptors("the system")],
  [EPERM]: () => [EACCES, explainFolder()],
  [EUCLEAN]: (name) => [EACCES, explainEntry(name)],
  [ENXIO]: () => [ENOTSUP, {
    why: "memory shared between processes needs a /proc of this process's PID namespace",
    fix: "Mount it: `mount -t proc proc /proc` (`unshare --mount-proc`).",
  }],
});

const taking = (): Explanations => ({
  ...common(),
  [ENOSPC]: () => [ENOMEM, {
    why: `the file system of the folder of names, ${namesFolder().path}, is full`,
    fix: "Remove what fills it, or make it larger (docker run --shm-size for /dev/shm).",
  }],
  [ENOENT]: () => [ENOTSUP, explainNoFolder()],
  [EEXIST]: (name) => [EEXIST, {
    why: `another arena of this user is called "${name}"`,
    fix: "Choose another name, or open that one with Arena.open().",
  }],
});

const finding = (): Explanations => ({
  ...common(),
  [ENOENT]: (name) => [ESTALE, explainNobody(name)],
  [EACCES]: () => [EACCES, {
    why: "its creator may not be inspected: it is not dumpable (it has file capabilities, " +
      "as setcap gives, or changed its user), or /proc hides it",
    fix: "Run both processes as the same user, and give capabilities as ambient ones (setpriv " +
      "--ambient-caps, systemd's AmbientCapabilities, docker run --cap-add) instead of setcap; or grant " +
      "CAP_SYS_PTRACE to the one that opens.",
  }],
  [EXDEV]: (name) => [ENOTSUP, {
    why:
      `the process that has an arena called "${name}" is in another PID or time namespace, where thread ` +
      "ids or times mean something else",
    fix: ONE_CONTAINER,
  }],
  [EREMOTE]: (name) => [ENOTSUP, {
    why:
      `a process in another mount namespace has an arena called "${name}", and its folder of names is not ` +
      "this one's",
    fix: ONE_CONTAINER,
  }],
  [EPROTO]: () => [EPROTO, { fix: "Use the same version of numakit in both processes." }],
  [EBADMSG]: (name) => [EPROTO, {
    why:
      `what is called "${name}" is not what its entry says: its files are not sealed, are another user's, ` +
      "or have another size or other pages",
    fix: "Something other than numakit has made it. Find out what.",
  }],
});

/**
 * The error of memory for a name that could not be made.
 *
 * @param result The `-errno` of `nk_mapping_share`.
 * @param request What was asked.
 * @returns The error.
 */
export function explainSharing(result: number, request: Omit<Refused, "syscall">): NumaError {
  const syscall = "nk_mapping_share";
  const isOut = -result === EMFILE || -result === ENFILE;
  if (!isOut) return explainCreate(result, { ...request, syscall });
  return explain(common(), result, syscall, "", request.action);
}

/**
 * The error of a name that could not be taken.
 *
 * @param result The `-errno` of `nk_mapping_publish`.
 * @param name The name.
 * @param action What was asked, as it follows "Cannot".
 * @returns The error.
 */
export function explainTaking(result: number, name: string, action: string): NumaError {
  return explain(taking(), result, "nk_mapping_publish", name, action);
}

/**
 * The error of a name that could not be found.
 *
 * @param result The `-errno` of `nk_mapping_open`.
 * @param name The name.
 * @param action What was asked, as it follows "Cannot".
 * @returns The error.
 */
export function explainFinding(result: number, name: string, action: string): NumaError {
  return explain(finding(), result, "nk_mapping_open", name, action);
}

function explain(
  explanations: Explanations,
  result: number,
  syscall: string,
  name: string,
  action: string,
): NumaError {
  const [errno, details] = explanations[-result]?.(name) ?? [-result, {}];
  return errnoError(-errno, syscall, action, details);
}
