import { showAs } from "../../base/inspect.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { checkDevice } from "../../topology/devices.ts";
import { readPolicy, writePolicy } from "./policy_text.ts";

const MAX_NODE = 65_535;
const MAX_CORES = 65_535;

/**
 * A kind of place on a machine. Packages and nodes are identified by the OS's numbers; `"l3"` is a domain, and like a
 * `"core"` identified by its index in {@linkcode Topology.domains} and {@linkcode Topology.cores}.
 */
export type PlaceKind = "package" | "node" | "l3" | "core";

const PLACES: readonly PlaceKind[] = ["package", "node", "l3", "core"];

/** A policy as plain data, for JSON and for other threads. */
export type PolicyDescription =
  | {
    /** All allowed CPUs of one node. */
    readonly kind: "bindNode";
    /** The node's id. */
    readonly node: number;
  }
  | {
    /** A set of CPUs. */
    readonly kind: "bindCpus";
    /** The CPUs in the kernel's notation. */
    readonly cpus: string;
  }
  | {
    /** All allowed CPUs of several places. */
    readonly kind: "bindPlaces";
    /** What the ids are of. */
    readonly place: PlaceKind;
    /** The ids in the kernel's notation. */
    readonly ids: string;
    /** How many cores of each place, the first ones, those with allowed CPUs; all of them when absent. */
    readonly cores?: number;
  }
  | {
    /** All allowed CPUs of the node that a device is attached to. */
    readonly kind: "near";
    /** The device's name or PCI address. */
    readonly device: string;
  }
  | {
    /** Whole cores for each thread. */
    readonly kind: "exclusive";
    /** How many. */
    readonly cores: number;
  }
  | {
    /** Threads close together, far apart, or one a core; threads that take turns between places; threads left alone. */
    readonly kind:
      | "compact"
      | "scatter"
      | "perPackage"
      | "perNode"
      | "perDomain"
      | "perCore"
      | "unbound";
  };

/** What a policy is about, apart from its kind. */
interface Details {
  readonly node?: number;
  readonly cpus?: CpuSet;
  readonly place?: PlaceKind;
  readonly ids?: CpuSet;
  readonly cores?: number | undefined;
  readonly device?: string;
}

/**
 * How threads are distributed over a machine. A policy is immutable; `plan` turns it into placements.
 *
 * @example
 * ```ts
 * import { plan, Policy, topology } from "@numakit/numakit";
 *
 * for (const { cpus, node } of plan(topology(), Policy.scatter(), 4)) {
 *   console.log(`CPUs ${cpus}, memory of node ${node}`);
 * }
 * ```
 */
export class Policy {
  static readonly #shown = /* @__PURE__ */ showAs(Policy, (policy) => `Policy { ${policy} }`);
  /** What only has the prototype of a policy, or stands in for one, has no such field. */
  readonly #isPolicy = true;
  /** Which policy it is. */
  readonly kind: PolicyDescription["kind"];
  /** The node of a `"bindNode"` policy. */
  readonly node: number | undefined;
  /** The CPUs of a `"bindCpus"` policy. */
  readonly cpus: CpuSet | undefined;
  /** The kind of places of a `"bindPlaces"` policy. */
  readonly place: PlaceKind | undefined;
  /** The ids of the places of a `"bindPlaces"` policy. */
  readonly ids: CpuSet | undefined;
  /** The cores of an `"exclusive"` policy for each thread; those of a `"bindPlaces"` policy of each place. */
  readonly cores: number | undefined;
  /** The device of a `"near"` policy. */
  readonly device: string | undefined;

  private constructor(kind: PolicyDescription["kind"], details: Details = {}) {
    void Policy.#shown;
    this.kind = kind;
    this.node = details.node;
    this.cpus = details.cpus;
    this.place = details.place;
    this.ids = details.ids;
    this.cores = details.cores;
    this.device = details.device;
    Object.freeze(this);
  }

  /**
   * Every thread may run on all allowed CPUs of one node, and prefers its memory.
   *
   * @param node The node's id.
   * @returns The policy. Whether the node exists is checked when a plan is made.
   * @throws {NumaError} `EINVAL` when it is not a node number.
   *
   * @example
   * ```ts
   * import { Policy } from "@numakit/numakit";
   *
   * console.log(`${Policy.bindNode(0)}`); // node:0
   * ```
   */
  static bindNode(node: number): Policy {
    checkInteger(node, "the node", 0, MAX_NODE, "bind threads to a node");
    return new Policy("bindNode", { node });
  }

  /**
   * Every thread may run on all the given CPUs, and on no others.
   *
   * @param cpus The CPUs, as a set or in the kernel's notation.
   * @returns The policy. Whether the CPUs exist is checked when a plan is made.
   * @throws {NumaError} `EINVAL` when the set is empty or not a set.
   *
   * @example
   * ```ts
   * import { CpuSet, Policy } from "@numakit/numakit";
   *
   * console.log(`${Policy.bindCpus("0-3,8")}`, `${Policy.bindCpus(CpuSet.range(4, 7))}`);
   * ```
   */
  static bindCpus(cpus: CpuSet | string): Policy {
    const set = typeof cpus === "string" ? CpuSet.parse(cpus) : CpuSet.from(cpus);
    if (set.size > 0) return new Policy("bindCpus", { cpus: set });
    throw new NumaError("EINVAL", "bind threads to CPUs", {
      why: "the set of CPUs is empty",
      fix: "Give at least one.",
    });
  }

  /**
   * One CPU for each thread, as close together as possible: first the SMT siblings of a core, then the cores of an L3
   * domain, the domains of a node, the nodes of a package, the packages. When all allowed CPUs have a thread, it starts
   * again.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { Policy } from "@numakit/numakit";
   *
   * console.log(Policy.compact().kind); // compact
   * ```
   */
  static compact(): Policy {
    return new Policy("compact");
  }

  /**
   * One CPU for each thread, as far apart as possible: threads take turns between the nodes that have allowed CPUs,
   * and within a node between its L3 domains. A node or a domain without a free core is passed over. Only when every
   * core of the machine has a thread do SMT siblings get one, in the same order. When all allowed CPUs have a thread,
   * it starts again.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { Policy } from "@numakit/numakit";
   *
   * console.log(Policy.scatter().kind); // scatter
   * ```
   */
  static scatter(): Policy {
    return new Policy("scatter");
  }

  /**
   * One CPU for each thread, a core of its own as long as there are some: the cores in the order of
   * {@linkcode Policy.compact}, then, when every core has a thread, their SMT siblings in the same order. When all
   * allowed CPUs have a thread, it starts again.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { plan, Policy, syntheticTopology } from "@numakit/numakit";
   *
   * const machine = syntheticTopology("pack:2 core:2 pu:2");
   * console.log(plan(machine, Policy.perCore(), 5).map(({ cpus }) => `${cpus}`)); // 0, 2, 4, 6, 1
   * ```
   */
  static perCore(): Policy {
    return new Policy("perCore");
  }

  /**
   * All allowed CPUs of one L3 domain for each thread, which the kernel moves between them. Threads take turns between
   * the domains, by their index.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { plan, Policy, syntheticTopology } from "@numakit/numakit";
   *
   * const machine = syntheticTopology("numa:2 l3:2 core:2 pu:1");
   * console.log(plan(machine, Policy.perDomain(), 3).map(({ cpus }) => `${cpus}`)); // 0-1, 2-3, 4-5
   * ```
   */
  static perDomain(): Policy {
    return new Policy("perDomain");
  }

  /**
   * All allowed CPUs of one node for each thread, which the kernel moves between them. Threads take turns between the
   * nodes that have allowed CPUs, by their id; CPUs that are on no node come last.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { plan, Policy, syntheticTopology } from "@numakit/numakit";
   *
   * const machine = syntheticTopology("numa:2 core:4 pu:1");
   * console.log(plan(machine, Policy.perNode(), 3).map(({ cpus }) => `${cpus}`)); // 0-3, 4-7, 0-3
   * ```
   */
  static perNode(): Policy {
    return new Policy("perNode");
  }

  /**
   * All allowed CPUs of one package for each thread, which the kernel moves between them. Threads take turns between the
   * packages, by their id; CPUs for which the machine describes no package come last, as one.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { plan, Policy, syntheticTopology } from "@numakit/numakit";
   *
   * const machine = syntheticTopology("pack:2 core:4 pu:1");
   * console.log(plan(machine, Policy.perPackage(), 3).map(({ cpus }) => `${cpus}`)); // 0-3, 4-7, 0-3
   * ```
   */
  static perPackage(): Policy {
    return new Policy("perPackage");
  }

  /**
   * Whole cores for each thread, with all their SMT siblings, which no other thread of the plan gets. Only cores whose
   * CPUs are all allowed are given out: of one that this process has only a part of, another one may use the rest.
   *
   * The cores of a thread are of one L3 domain as long as one has enough of them, then of one node, then of any. Threads
   * take turns between nodes and domains, as with {@linkcode Policy.scatter}. It does not start again: a plan for more
   * threads than there are cores for is an error.
   *
   * @param cores How many cores a thread gets: 1 to 65535. Default: 1.
   * @returns The policy. Whether there are so many is checked when a plan is made.
   * @throws {NumaError} `EINVAL` when it is not such a number.
   *
   * @example
   * ```ts
   * import { plan, Policy, syntheticTopology } from "@numakit/numakit";
   *
   * const machine = syntheticTopology("l3:2 core:4 pu:2");
   * console.log(plan(machine, Policy.exclusive(2), 4).map(({ cpus }) => `${cpus}`)); // 0-3, 8-11, 4-7, 12-15
   * ```
   */
  static exclusive(cores: number = 1): Policy {
    checkInteger(cores, "the number of cores", 1, MAX_CORES, "give threads cores of their own");
    return new Policy("exclusive", { cores });
  }

  /**
   * Every thread may run on all allowed CPUs of the node that a device is attached to, and prefers its memory.
   *
   * @param device A name (`"eth0"`, `"nvme0n1"`) or a PCI address, as {@linkcode Topology.devices} lists them.
   * @returns The policy. Whether there is such a device is checked when a plan is made; {@linkcode nodeOf} says how its
   * node is found.
   * @throws {NumaError} `EINVAL` when it is not a name.
   *
   * @example
   * ```ts
   * import { plan, Policy, topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * for (const { name } of machine.devices.filter((device) => device.class === "nvme")) {
   *   console.log(name, `${plan(machine, Policy.near(name), 1)[0]!.cpus}`);
   * }
   * ```
   */
  static near(device: string): Policy {
    return new Policy("near", { device: checkDevice(device, "place threads near a device") });
  }

  /**
   * Threads are left where the kernel puts them, within what the process may use.
   *
   * @returns The policy.
   *
   * @example
   * ```ts
   * import { Policy } from "@numakit/numakit";
   *
   * console.log(Policy.unbound().kind); // unbound
   * ```
   */
  static unbound(): Policy {
    return new Policy("unbound");
  }

  /**
   * Reads a policy from text, as people write it on command lines.
   *
   * | Text                                   | Policy                                                              |
   * | -------------------------------------- | ------------------------------------------------------------------- |
   * | `node:0`                               | {@linkcode Policy.bindNode}                                         |
   * | `0-7,16`                               | {@linkcode Policy.bindCpus}                                         |
   * | `package:1`, `l3:2,3`, `core:3`        | every thread may run on all allowed CPUs of these places            |
   * | `package:1:4`                          | on those of the first 4 cores of this place; of several, of each    |
   * | `package` or `socket`                  | {@linkcode Policy.perPackage}                                       |
   * | `node`                                 | {@linkcode Policy.perNode}                                          |
   * | `l3` or `core-complex`                 | {@linkcode Policy.perDomain}                                        |
   * | `core`                                 | {@linkcode Policy.perCore}                                          |
   * | `exclusive`, `exclusive:2`             | {@linkcode Policy.exclusive}                                        |
   * | `near:eth0`                            | {@linkcode Policy.near}                                             |
   * | `compact`, `scatter`, `unbound`        | {@linkcode Policy.compact} and so on                                |
   *
   * Packages and nodes are named by the OS's numbers, L3 domains and cores by their index in
   * {@linkcode Topology.domains} and {@linkcode Topology.cores}.
   *
   * @param text The text; spaces around it do not matter.
   * @returns The policy. Whether the places exist is checked when a plan is made.
   * @throws {NumaError} `EINVAL` when it is none; the message says what can be written.
   *
   * @example
   * ```ts
   * import { Policy } from "@numakit/numakit";
   *
   * console.log(`${Policy.parse("socket:1:4")}`); // package:1:4
   * console.log(Policy.parse("core-complex").kind); // perDomain
   * ```
   */
  static parse(text: string): Policy {
    if (typeof text !== "string") return refuse(text);
    return Policy.from(readPolicy(text));
  }

  /**
   * Reads a policy from plain data or from text.
   *
   * @param description The result of {@linkcode Policy.toJSON}, perhaps from another thread; a text that
   * {@linkcode Policy.parse} reads; or a policy.
   * @returns The policy.
   * @throws {NumaError} `EINVAL` when it describes none.
   *
   * @example
   * ```ts
   * import { Policy } from "@numakit/numakit";
   *
   * const text = JSON.stringify(Policy.bindNode(1)); // {"kind":"bindNode","node":1}
   * console.log(Policy.from(JSON.parse(text)).node); // 1
   * ```
   */
  static from(description: PolicyDescription | Policy | string): Policy {
    if (typeof description === "string") return Policy.parse(description);
    if (typeof description === "object" && description !== null && #isPolicy in description) {
      return description;
    }
    const data = copyOf(description);
    switch (data.kind) {
      case "bindNode":
        return Policy.bindNode(data.node);
      case "bindCpus":
        return Policy.bindCpus(data.cpus);
      case "bindPlaces":
        return Policy.#bindPlaces(data.place, data.ids, data.cores);
      case "near":
        return Policy.near(data.device);
      case "exclusive":
        return Policy.exclusive(data.cores ?? 0);
      case "compact":
      case "scatter":
      case "perPackage":
      case "perNode":
      case "perDomain":
      case "perCore":
      case "unbound":
        return new Policy(data.kind);
    }
    return refuse(description);
  }

  /** One node as a whole is `bindNode`: there is one policy for each thing. */
  static #bindPlaces(place: PlaceKind, text: string, cores: number | undefined): Policy {
    const action = `bind threads to places of kind ${show(place)}`;
    if (!PLACES.includes(place)) {
      throw new NumaError("EINVAL", action, {
        why: "there is no such kind",
        fix: `Choose ${PLACES.map(show).join(" or ")}.`,
      });
    }
    const ids = CpuSet.parse(text);
    if (ids.size === 0) {
      throw new NumaError("EINVAL", action, { why: "there are no ids", fix: "Give at least one." });
    }
    if (cores !== undefined) {
      checkInteger(cores, "the number of cores", 1, MAX_CORES, action);
      if (place === "core") {
        throw new NumaError("EINVAL", action, {
          why: "a core has no cores to count",
          fix: `Name the cores: "core:${ids}".`,
        });
      }
    }
    if (place === "node" && ids.size === 1 && cores === undefined) {
      return Policy.bindNode(ids.first!);
    }
    return new Policy("bindPlaces", { place, ids, cores });
  }

  /**
   * The policy as plain data.
   *
   * @returns What {@linkcode Policy.from} reads.
   */
  toJSON(): PolicyDescription {
    switch (this.kind) {
      case "bindNode":
        return { kind: this.kind, node: this.node! };
      case "bindCpus":
        return { kind: this.kind, cpus: this.cpus!.text };
      case "bindPlaces": {
        const places = { kind: this.kind, place: this.place!, ids: this.ids!.text };
        return this.cores === undefined ? places : { ...places, cores: this.cores };
      }
      case "near":
        return { kind: this.kind, device: this.device! };
      case "exclusive":
        return { kind: this.kind, cores: this.cores! };
      default:
        return { kind: this.kind };
    }
  }

  /**
   * The policy as text.
   *
   * @returns What {@linkcode Policy.parse} reads: for example `node:0`, `0-3,8`, `scatter`.
   */
  toString(): string {
    return writePolicy(this.toJSON());
  }
}

/** Looks at everything once: what is looked at twice may change between. */
function copyOf(description: unknown): PolicyDescription {
  try {
    return { ...Object(description) };
  } catch {
    return refuse(description);
  }
}

function refuse(description: unknown): never {
  let kind: unknown;
  try {
    kind = Object(description).kind;
  } catch {
    // A revoked proxy, or a getter that throws.
  }
  throw new NumaError("EINVAL", "read a thread policy", {
    why: kind === undefined ? `it is ${show(description)}` : `its kind is ${show(kind)}`,
    fix: 'Give a Policy, what its toJSON() gave, or a text such as "node:0" or "scatter".',
  });
}
