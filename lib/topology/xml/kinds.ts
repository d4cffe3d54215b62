/**
 * Kinds of cores: `<cpukind cpuset="0x00000ff0">`, and which are faster. hwloc's rules, as the file has what the firmware
 * and the kernel say, but not the order.
 *
 * @module
 */
import { Attributes } from "./attributes.ts";
import type { Element, Scanner } from "./scan.ts";

const UNKNOWN = -1;
/** A faster type of core is faster at any frequency. */
const TYPE_FACTOR = 2 ** 20;
const CORE_TYPES: Readonly<Record<string, number>> = { IntelAtom: 1, IntelCore: 2 };

/** A kind of cores. */
interface Kind {
  cpus: bigint;
  forced: number;
  readonly infos: Map<string, string>;
}

/** Kinds of cores, each CPU of one at most. */
export class Kinds {
  readonly #kinds: Kind[] = [];

  /**
   * Reads a kind, which may share CPUs with those before it.
   *
   * @param element The element.
   * @param scanner Where it is.
   * @throws {NumaError} `EINVAL`.
   */
  read(element: Element, scanner: Scanner): void {
    const attributes = new Attributes(element, scanner);
    const cpus = attributes.set("cpuset");
    if (cpus === undefined) throw attributes.fail("<cpukind> without cpuset");
    const text = attributes.text("forced_efficiency") ?? `${UNKNOWN}`;
    const forced = Number(text);
    if (!Number.isSafeInteger(forced)) throw attributes.fail(`forced_efficiency is ${forced}`);
    const infos = new Map<string, string>();
    scanner.elements(element, (child) => {
      if (child.name !== "info") throw scanner.fail(`<${child.name}> in <cpukind>`, child.at);
      const info = new Attributes(child, scanner);
      infos.set(info.required("name"), info.text("value") ?? "");
      scanner.skip(child);
    });
    this.#add({ cpus, forced, infos });
  }

  #add({ cpus, forced, infos }: Kind): void {
    let rest = cpus;
    for (const kind of [...this.#kinds]) {
      const common = rest & kind.cpus;
      if (common === 0n) continue;
      if (common === kind.cpus) {
        for (const [name, value] of infos) kind.infos.set(name, value);
        kind.forced = forced;
      } else {
        this.#kinds.push({ cpus: common, forced, infos: new Map([...kind.infos, ...infos]) });
        kind.cpus &= ~common;
      }
      rest &= ~common;
    }
    if (rest !== 0n) this.#kinds.push({ cpus: rest, forced, infos });
  }

  /**
   * Ranks the kinds.
   *
   * @returns Tells the rank of the kind of a core with these CPUs, 0 the slowest; undefined where all are alike, or it
   * is not known which are faster.
   */
  rank(): (cpus: bigint) => number | undefined {
    const ranks = this.#kinds.length < 2 ? undefined : ranking(this.#kinds);
    return (cpus) => {
      const index = this.#kinds.findIndex((kind) => cpus !== 0n && (cpus & ~kind.cpus) === 0n);
      return index < 0 ? undefined : ranks?.[index];
    };
  }
}

/** The rank of each kind by the first rule that tells all apart. */
function ranking(kinds: readonly Kind[]): number[] | undefined {
  const forced = kinds.map((kind) => kind.forced);
  if (!forced.includes(UNKNOWN) && new Set(forced).size === kinds.length) return ranks(forced);
  const types = kinds.map(({ infos }) => CORE_TYPES[infos.get("CoreType") ?? ""] ?? 0);
  const frequency = (name: string): number[] =>
    kinds.map(({ infos }) => Number.parseInt(infos.get(name) ?? "", 10) || 0);
  const [base, max] = [frequency("FrequencyBaseMHz"), frequency("FrequencyMaxMHz")];
  if ([types, base, max].every((values) => values.includes(0))) return undefined;
  const speed = base.includes(0) ? max : base;
  const values = types.map((type, index) => type * TYPE_FACTOR + speed[index]!);
  return new Set(values).size === kinds.length ? ranks(values) : undefined;
}

function ranks(values: readonly number[]): number[] {
  return values.map((value) => values.filter((other) => other < value).length);
}
