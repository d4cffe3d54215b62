/**
 * Policies as text, for command lines, variables and configuration files:
 *
 *     policy  = KIND [":" IDS [":" CORES]]      node   node:0   l3:2,3   package:1:4
 *             | CPUS                            0-7,16
 *             | "exclusive" [":" CORES]         exclusive:2
 *             | "near:" DEVICE                  near:eth0
 *             | "compact" | "scatter" | "unbound"
 *     KIND    = "package" | "socket" | "node" | "l3" | "core-complex" | "core"
 *     IDS     = list of ids in the kernel's notation without strides, such as 0,2-3
 *
 * A kind alone is for threads that take turns between all of that kind; with ids every thread has all of those. CORES
 * is a number of cores: of each of the ids the first ones. `node`, `socket`, `core-complex` and `exclusive` are the
 * words of torchrun's `--numa-binding`.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import type { PlaceKind, PolicyDescription } from "./policy.ts";

type Word = Exclude<PolicyDescription["kind"], "bindNode" | "bindCpus" | "bindPlaces" | "near">;

/** The first of several that mean the same is the one that is written. */
const WORDS: ReadonlyMap<string, Word> = /* @__PURE__ */ new Map<string, Word>([
  ["compact", "compact"],
  ["scatter", "scatter"],
  ["unbound", "unbound"],
  ["package", "perPackage"],
  ["socket", "perPackage"],
  ["node", "perNode"],
  ["l3", "perDomain"],
  ["core-complex", "perDomain"],
  ["core", "perCore"],
  ["exclusive", "exclusive"],
]);

const KINDS: ReadonlyMap<string, PlaceKind> = /* @__PURE__ */ new Map<string, PlaceKind>([
  ["package", "package"],
  ["socket", "package"],
  ["node", "node"],
  ["l3", "l3"],
  ["core-complex", "l3"],
  ["core", "core"],
]);

const FIX = 'Write a kind of place ("package", "node", "l3", "core"), with ids ("l3:2,3") and ' +
  'perhaps a number of cores ("package:1:4"); or CPUs ("0-7,16"), "exclusive:2", "near:eth0", ' +
  '"compact", "scatter" or "unbound".';

/**
 * Reads a policy from text.
 *
 * @param text The text; spaces around it do not matter.
 * @returns Its description.
 * @throws {NumaError} `EINVAL` when it is none.
 */
export function readPolicy(text: string): PolicyDescription {
  const action = `read the thread policy ${show(text)}`;
  const refuse = (why: string): NumaError => new NumaError("EINVAL", action, { why, fix: FIX });
  const trimmed = text.trim();
  if (/^\d/.test(trimmed)) return { kind: "bindCpus", cpus: CpuSet.parse(trimmed).text };
  const [head, ids, count, ...more] = trimmed.split(":") as [string, ...string[]];
  if (head === "near" && ids !== undefined) {
    return { kind: "near", device: trimmed.slice("near:".length) };
  }
  const cores = (part: string | undefined): number => {
    if (part !== undefined && /^\d{1,5}$/.test(part) && Number(part) > 0) return Number(part);
    throw refuse(`${show(part)} is no number of cores`);
  };
  const word = WORDS.get(head);
  if (word === undefined) {
    throw refuse(
      trimmed === "" ? "it is empty" : `there is no policy and no kind of place ${show(head)}`,
    );
  }
  if (word === "exclusive") {
    if (count !== undefined) throw refuse(`nothing can follow the number of cores`);
    return { kind: word, cores: ids === undefined ? 1 : cores(ids) };
  }
  if (ids === undefined) return { kind: word };
  const place = KINDS.get(head);
  if (place === undefined) throw refuse(`nothing can follow ${show(head)}`);
  if (more.length > 0) throw refuse("it has more than a kind, ids and a number of cores");
  // A stride has a colon as well: ids with one would be read as other ids.
  if (!/^[\d,\-\s]*\d[\d,\-\s]*$/.test(ids)) throw refuse(`${show(ids)} is no list of ids`);
  const description = { kind: "bindPlaces", place, ids: CpuSet.parse(ids).text } as const;
  return count === undefined ? description : { ...description, cores: cores(count) };
}

/**
 * Writes a policy as text.
 *
 * @param policy Its description.
 * @returns The text, which {@linkcode readPolicy} reads.
 */
export function writePolicy(policy: PolicyDescription): string {
  switch (policy.kind) {
    case "bindNode":
      return `node:${policy.node}`;
    case "bindCpus":
      return policy.cpus;
    case "bindPlaces":
      return `${policy.place}:${policy.ids}${policy.cores === undefined ? "" : `:${policy.cores}`}`;
    case "near":
      return `near:${policy.device}`;
    case "exclusive":
      return policy.cores === 1 ? policy.kind : `${policy.kind}:${policy.cores}`;
    default:
      for (const [text, kind] of WORDS) if (kind === policy.kind) return text;
      return policy.kind;
  }
}
