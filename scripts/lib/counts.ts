/**
 * Reads what the counter of `native/counter` wrote.
 */
import { readFileSync } from "node:fs";

/** What accesses came to. Each is in one of the seven places from `own` to `farMemory`. */
export interface Counts {
  readonly loads: number;
  readonly stores: number;
  /** The core's own cache. */
  readonly own: number;
  /** The L3 of its domain. */
  readonly l3: number;
  /** Another core's cache of its domain. */
  readonly domain: number;
  /** A cache of another domain of its node. */
  readonly node: number;
  /** A cache of another node. */
  readonly farCache: number;
  readonly memory: number;
  readonly farMemory: number;
  /** Stores that found their line, and had to make it the only one. */
  readonly upgrades: number;
  readonly farUpgrades: number;
  /** Caches that had to drop a line. */
  readonly invalidations: number;
  readonly farInvalidations: number;
}

const NOTHING: Counts = {
  ...{ loads: 0, stores: 0, own: 0, l3: 0, domain: 0, node: 0, farCache: 0, memory: 0 },
  ...{ farMemory: 0, upgrades: 0, farUpgrades: 0, invalidations: 0, farInvalidations: 0 },
};

/** Lines that came from other nodes. */
export const far = ({ farCache, farMemory }: Counts): number => farCache + farMemory;

/** A page with lines that came from other nodes. */
export interface CountedPage {
  /** Where a program had it last. */
  readonly address: number;
  /** Whose memory it is. */
  readonly node: number;
  /** The lines, by the node that fetched them. */
  readonly lines: readonly number[];
}

/** A range of memory that was named. */
export interface CountedRange {
  readonly name: string;
  /** Its lines in the end: those that a later range took are not among them. */
  readonly lines: number;
  /** Lines that were named the last time, in all and different ones. */
  readonly named: number;
  readonly distinct: number;
}

/** What a section came to. */
export interface CountedSection {
  readonly name: string;
  /** Whether it is that of a whole command: what is in none of the program's own. */
  readonly whole: boolean;
  readonly counts: Counts;
}

/** The file, as it is. */
interface CountsFile {
  readonly notes: readonly string[];
  readonly open: readonly string[];
  readonly pages: readonly (readonly [number, number, readonly number[]])[];
  readonly ranges: readonly CountedRange[];
  readonly sections: readonly {
    readonly name: string;
    readonly whole: boolean;
    readonly times: number;
    readonly rows: readonly {
      readonly range: string;
      readonly counts: Counts & { readonly cpu: number };
    }[];
  }[];
}

/** What was counted in a run. */
export class Counted {
  readonly #file: CountsFile;

  /**
   * Reads a file.
   *
   * @param path What `scripts/numa_vm --count` wrote.
   */
  constructor(path: string) {
    this.#file = JSON.parse(readFileSync(path, "utf8")) as CountsFile;
  }

  /** Lines of the ranges, by name. */
  get ranges(): Map<string, number> {
    return new Map(this.#file.ranges.map(({ name, lines }) => [name, lines]));
  }

  /** The ranges, with what was said of them. */
  get namedRanges(): readonly CountedRange[] {
    return this.#file.ranges;
  }

  /** Sections that had not ended when all of it did, the outermost one first. */
  get open(): readonly string[] {
    return this.#file.open;
  }

  /** Lines of text that the program gave. */
  get notes(): readonly string[] {
    return this.#file.notes;
  }

  /** Pages with lines that came from other nodes. */
  get pages(): readonly CountedPage[] {
    return this.#file.pages.map(([address, node, lines]) => ({ address, node, lines }));
  }

  /** The CPUs that did anything in a section. */
  get cpus(): number[] {
    const rows = this.#file.sections.flatMap(({ rows }) => rows);
    return [...new Set(rows.map(({ counts }) => counts.cpu))].sort((a, b) => a - b);
  }

  /** The sections' names. */
  get sections(): string[] {
    return this.#file.sections.map(({ name }) => name);
  }

  /**
   * What a section came to, of one CPU or of all.
   *
   * @param name The section.
   * @param range The range; "" for what has no name.
   * @param cpu The CPU. Default: all.
   */
  counts(name: string, range: string, cpu?: number): Counts {
    return this.sum(name, (other) => other === range, cpu === undefined ? undefined : [cpu]);
  }

  /**
   * What a section came to in some ranges together.
   *
   * @param name The section.
   * @param isWanted Whether a range counts; "" is what has no name.
   * @param cpus The CPUs. Default: all.
   */
  sum(name: string, isWanted: (range: string) => boolean, cpus?: readonly number[]): Counts {
    const all = this.#file.sections.filter((section) => section.name === name);
    // What the program calls as its command is called is its own.
    const section = all.find(({ whole }) => !whole) ?? all[0];
    if (section === undefined) throw new Error(`no section "${name}" was counted`);
    return this.#sum([section], isWanted, cpus);
  }

  /**
   * What all sections together came to.
   *
   * @param cpus The CPUs. Default: all.
   * @param isWanted Whether a range counts. Default: all do.
   */
  all(
    cpus?: readonly number[],
    isWanted: (range: string) => boolean = () => true,
  ): Counts {
    return this.#sum(this.#file.sections, isWanted, cpus);
  }

  /** What each section came to, in the order in which they began. */
  bySection(): CountedSection[] {
    return this.#file.sections.map((section) => ({
      name: section.name,
      whole: section.whole,
      counts: this.#sum([section], () => true),
    }));
  }

  #sum(
    sections: CountsFile["sections"],
    isWanted: (range: string) => boolean,
    cpus?: readonly number[],
  ): Counts {
    const rows = sections.flatMap(({ rows }) => rows).filter((row) =>
      isWanted(row.range) && cpus?.includes(row.counts.cpu) !== false
    );
    const keys = Object.keys(NOTHING) as (keyof Counts)[];
    return Object.fromEntries(
      keys.map((key) => [key, rows.reduce((sum, { counts }) => sum + counts[key], 0)]),
    ) as unknown as Counts;
  }
}

/** Counts with zeros for what is not given. */
export function counts(some: Partial<Counts>): Counts {
  return { ...NOTHING, ...some };
}
