/**
 * The objects of a machine: `<object type="Package" cpuset="0x0000000f" ...>`, each inside the one that it is a part of.
 *
 * In formats 2 and 3 memory is attached to the object whose CPUs are near to it, and so has the CPUs of that object. In
 * format 1 nodes contain what is near to them. As hwloc does, a node of format 1 is attached to its parent where both
 * have the same CPUs, and else to a group made for it; what it contains is a part of that.
 *
 * @module
 */
import { Attributes } from "./attributes.ts";
import { bit } from "./bits.ts";
import type { Found, FoundPart } from "./found.ts";
import { readDistances1 } from "./distances.ts";
import { MAX_CHILDREN, MAX_ID, MAX_OBJECTS } from "./limits.ts";
import { type ObjectType, objectType } from "./object_types.ts";
import type { Element, Scanner } from "./scan.ts";

/** Groups of this kind are what later versions call dies. */
const DIE_KIND = "104";

/** What a child has to know of its parent. */
interface Place {
  /** The parent's CPUs; without those that its own parent does not have. */
  readonly cpus: bigint;
  /** All its CPUs, also those that are offline, as the file says it. */
  readonly complete: bigint;
  readonly branch: ObjectType["branch"];
  children: number;
  /** The nodes that are attached to it. */
  readonly memory: { readonly subtype: string | undefined }[];
}

/** An object while it is read. */
interface Open {
  readonly attributes: Attributes;
  readonly parent: Place | null;
  type: ObjectType;
  subtype: string | undefined;
  readonly infos: Map<string, string>;
}

/** Reads the objects of a file. */
export class ObjectReader {
  readonly #scanner: Scanner;
  readonly #format: number;
  readonly #found: Found;
  #count = 0;

  /**
   * Reads nothing yet.
   *
   * @param scanner Where the objects are.
   * @param format The format's number, 1 to 3.
   * @param found What takes the parts of the machine.
   */
  constructor(scanner: Scanner, format: number, found: Found) {
    this.#scanner = scanner;
    this.#format = format;
    this.#found = found;
  }

  /**
   * Reads the object around all others, with these.
   *
   * @param element The object.
   */
  root(element: Element): void {
    this.#object(element, null);
  }

  /** Returns whether there is something in the object: others are left out. */
  #object(element: Element, parent: Place | null): boolean {
    const attributes = new Attributes(element, this.#scanner);
    const name = attributes.required("type");
    const type = objectType(name);
    if (type === undefined) throw attributes.fail(`the type ${JSON.stringify(name.slice(0, 80))}`);
    this.#countIn(attributes, type, parent);
    const subtype = attributes.text("subtype");
    const open: Open = { attributes, parent, type, subtype, infos: new Map() };
    let place: Place | undefined;
    let any = false;
    this.#scanner.elements(element, (child) => {
      if (child.name === "object") {
        place ??= this.#settle(open);
        any = this.#object(child, place) || any;
      } else if (place === undefined) {
        this.#detail(child, open);
      } else {
        throw this.#scanner.fail(`<${child.name}> after objects`, child.at);
      }
    });
    place ??= this.#settle(open);
    if (open.type.branch === "special") return false;
    if (open.type.is === "node") return true;
    return this.#keep(element, any || place.cpus !== 0n);
  }

  #countIn(attributes: Attributes, type: ObjectType, parent: Place | null): void {
    if (type.branch === "special") return;
    if (++this.#count > MAX_OBJECTS) {
      throw attributes.fail(`it has more than ${MAX_OBJECTS} objects`, "numakit reads no more.");
    }
    if (parent !== null && ++parent.children > MAX_CHILDREN) {
      const why = `an object contains more than ${MAX_CHILDREN} others`;
      throw attributes.fail(why, "numakit reads no more.");
    }
  }

  /** What describes an object before the objects in it. */
  #detail(child: Element, open: Open): void {
    if (child.name === "info") {
      const info = new Attributes(child, this.#scanner);
      const name = info.text("name");
      const value = info.text("value");
      if (name !== undefined && value !== undefined) {
        if (this.#format === 1 && /^(CoProc)?Type$/.test(name)) open.subtype = value;
        else if (!open.infos.has(name)) open.infos.set(name, value);
      }
      this.#scanner.elements(child, (inner) => this.#scanner.skip(inner));
    } else if (child.name === "distances" && this.#format === 1) {
      const matrix = readDistances1(child, this.#scanner);
      if (open.parent === null && matrix !== undefined) this.#found.matrices.push(matrix);
    } else if (child.name === "page_type" || child.name === "userdata") {
      this.#scanner.skip(child);
    } else {
      throw this.#scanner.fail(`<${child.name}> in an object`, child.at);
    }
  }

  /** Takes an object, of which all is known but the objects in it. Returns what those are parts of. */
  #settle(open: Open): Place {
    const { attributes, parent, subtype } = open;
    const cpus = attributes.set("cpuset");
    if (
      this.#format === 1 && attributes.text("type")!.toLowerCase() === "misc" && cpus !== undefined
    ) {
      open.type = objectType("group")!;
    }
    if (open.type.is === "group" && (attributes.text("kind") === DIE_KIND || subtype === "Die")) {
      open.type = objectType("die")!;
    }
    const { type } = open;
    this.#checkPlace(open);
    if (type.branch === "special") {
      return { cpus: 0n, complete: 0n, branch: "special", children: 0, memory: [] };
    }
    const complete = attributes.set("complete_cpuset");
    if (cpus === undefined || (complete === undefined && this.#format === 1)) {
      // Of format 1 there are groups without all their sets, which hwloc leaves out as well.
      if (type.is === "group" && this.#format === 1 && parent !== null) return parent;
      throw attributes.fail(
        `${attributes.text("type")} without ${cpus === undefined ? "cpuset" : "complete_cpuset"}`,
      );
    }
    const own = { cpus, complete: complete ?? cpus };
    const place = parent === null ? this.#machine(open, own) : this.#within(open, own, parent);
    this.#take(open, place.cpus, own.cpus);
    if (type.is === "node") place.memory.push({ subtype });
    return place;
  }

  #checkPlace({ attributes, parent, type }: Open): void {
    const name = attributes.text("type");
    const inside = parent?.branch ?? "normal";
    // In format 1 nodes contain what is near to them.
    if (type.branch === "normal" && inside !== "normal") {
      throw attributes.fail(`${name} in an object that cannot contain one`);
    }
    if (type.branch === "memory" && inside === "special") {
      throw attributes.fail(`${name} in a device`);
    }
    if (parent === null && type.branch === "special") throw attributes.fail(`${name} around all`);
    if (parent === null && type.branch === "memory" && this.#format > 1) {
      throw attributes.fail(`${name} around all`);
    }
  }

  #machine(open: Open, own: { cpus: bigint; complete: bigint }): Place {
    const { attributes } = open;
    const cpus = own.cpus & own.complete;
    if (cpus === 0n) throw attributes.fail("the machine has no CPUs");
    if (cpus < 0n) throw attributes.fail("the machine's cpuset has no end");
    const found = this.#found;
    found.cpus = cpus;
    found.allowedCpus = attributes.set("allowed_cpuset") ?? -1n;
    found.allowedNodes = attributes.set("allowed_nodeset") ?? -1n;
    found.bytes = attributes.number("local_memory");
    found.version = open.infos.get("hwlocVersion");
    return { cpus, complete: own.complete, branch: "normal", children: 0, memory: [] };
  }

  #within(open: Open, own: { cpus: bigint; complete: bigint }, parent: Place): Place {
    const { type, subtype } = open;
    if (type.branch === "normal") {
      const { complete } = own;
      return { cpus: own.cpus & parent.cpus, complete, branch: "normal", children: 0, memory: [] };
    }
    if (this.#format > 1) return { ...parent, branch: "memory", children: 0, memory: [] };
    const [sibling] = parent.memory;
    // Knights Landing: its fast memory has no CPUs in format 1, and is near to the same as the other memory.
    const fast = subtype === "MCDRAM" && own.complete === 0n && parent.memory.length === 1 &&
      sibling!.subtype === undefined;
    if (own.complete === parent.complete || fast) return parent;
    const cpus = own.cpus & parent.cpus;
    return { cpus, complete: own.cpus, branch: "normal", children: 0, memory: [] };
  }

  /** Takes note of a part of the machine. own: its CPUs, as the file says it. */
  #take(open: Open, cpus: bigint, own: bigint): void {
    const { attributes, type } = open;
    const { at } = attributes.element;
    const part = (): FoundPart => ({ at, cpus, id: attributes.index() });
    if (type.is === "package") {
      this.#found.packages.push({ ...part(), model: open.infos.get("CPUModel") });
    } else if (type.is === "die") {
      this.#found.dies.push(part());
    } else if (type.is === "core") {
      this.#found.cores.push(part());
    } else if (type.is === "cache") {
      this.#cache(open, cpus);
    } else if (type.is === "node") {
      this.#node(open, cpus);
    } else if (type.is === "cpu") {
      const id = this.#id(attributes, "CPU");
      if (own !== 0n && own !== bit(id)) {
        throw attributes.fail(`PU ${id} with another CPU in its cpuset`);
      }
    }
  }

  #id(attributes: Attributes, what: string): number {
    const id = attributes.index();
    if (id === undefined) throw attributes.fail(`a ${what} without os_index`);
    if (id <= MAX_ID) return id;
    throw attributes.fail(`${what} ${id}`, `The greatest id that numakit knows is ${MAX_ID}.`);
  }

  #cache({ attributes, type }: Open, cpus: bigint): void {
    const level = attributes.number("depth") ?? type.level ?? 0;
    const kind = attributes.number("cache_type") ?? (type.instruction ? 2 : 0);
    const instruction = type.instruction ?? kind === 2;
    if (level !== (type.level ?? level) || level < 1 || level > 5) {
      throw attributes.fail(`${attributes.text("type")} of level ${level}`);
    }
    if (kind > 2 || instruction !== (kind === 2)) {
      throw attributes.fail(`${attributes.text("type")} with cache_type ${kind}`);
    }
    if (instruction) return;
    this.#found.caches.push({
      at: attributes.element.at,
      cpus,
      level,
      type: kind === 0 ? "unified" : "data",
      bytes: attributes.number("cache_size") || undefined,
      line: attributes.number("cache_linesize") || undefined,
    });
  }

  #node({ attributes, infos, subtype }: Open, cpus: bigint): void {
    const id = this.#id(attributes, "node");
    const nodes = attributes.set("nodeset");
    if (nodes === undefined) throw attributes.fail(`node ${id} without nodeset`);
    this.#found.nodeIds.push(id);
    if (nodes === 0n) return;
    if (nodes !== bit(id)) throw attributes.fail(`node ${id} with another node in its nodeset`);
    this.#found.nodes.push({
      at: attributes.element.at,
      cpus,
      id,
      object: attributes.digits("gp_index") ??
        /^obj(\d{1,20})$/.exec(attributes.text("id") ?? "")?.[1],
      bytes: attributes.number("local_memory") || undefined,
      subtype,
      dax: infos.get("DAXType"),
    });
  }

  /** Drops what has been taken of an object that turned out to have nothing in it. */
  #keep({ at }: Element, any: boolean): boolean {
    if (any) return true;
    const { packages, dies, cores, caches } = this.#found;
    for (const list of [packages, dies, cores, caches]) {
      if (list.at(-1)?.at === at) list.pop();
    }
    return false;
  }
}
