import { showAs } from "../base/inspect.ts";
import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { CpuSet } from "../topology/cpu_set.ts";

const MAX_NODE = 65_535;

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
    /** Threads close together, threads far apart, or threads left alone. */
    readonly kind: "compact" | "scatter" | "unbound";
  };

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
  static readonly #shown = /* @__PURE__ */ showAs(Policy, (policy) => `Policy.${policy}`);
  /** Which policy it is. */
  readonly kind: PolicyDescription["kind"];
  /** The node of a `"bindNode"` policy. */
  readonly node: number | undefined;
  /** The CPUs of a `"bindCpus"` policy. */
  readonly cpus: CpuSet | undefined;

  private constructor(kind: PolicyDescription["kind"], node?: number, cpus?: CpuSet) {
    void Policy.#shown;
    this.kind = kind;
    this.node = node;
    this.cpus = cpus;
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
   * console.log(`${Policy.bindNode(0)}`); // bindNode(0)
   * ```
   */
  static bindNode(node: number): Policy {
    checkInteger(node, "the node", 0, MAX_NODE, "bind threads to a node");
    return new Policy("bindNode", node);
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
    if (set.size > 0) return new Policy("bindCpus", undefined, set);
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
   * within a node between its L3 domains, and within a domain between its cores, so that SMT siblings come last. A node
   * or a domain without a CPU left is passed over. When all allowed CPUs have a thread, it starts again.
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
   * Reads a policy from plain data.
   *
   * @param description The result of {@linkcode Policy.toJSON}, perhaps from another thread; or a policy.
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
  static from(description: PolicyDescription | Policy): Policy {
    if (description instanceof Policy) {
      // One without a kind only has the prototype of a policy.
      return description.kind === undefined ? refuse(description) : description;
    }
    switch (description?.kind) {
      case "bindNode":
        return Policy.bindNode(description.node);
      case "bindCpus":
        return Policy.bindCpus(description.cpus);
      case "compact":
      case "scatter":
      case "unbound":
        return new Policy(description.kind);
    }
    return refuse(description);
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
      default:
        return { kind: this.kind };
    }
  }

  /**
   * The policy as its author would write it.
   *
   * @returns For example `bindNode(0)`.
   */
  toString(): string {
    return `${this.kind}(${this.node ?? this.cpus ?? ""})`;
  }
}

function refuse(description: unknown): never {
  const { kind } = Object(description) as { kind?: unknown };
  throw new NumaError("EINVAL", "read a thread policy", {
    why: kind === undefined ? `it is ${show(description)}` : `its kind is ${show(kind)}`,
    fix: "Give a Policy, or what its toJSON() gave.",
  });
}
