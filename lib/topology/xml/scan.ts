/**
 * A scanner of XML, as far as hwloc writes it: elements, attributes, text, comments. It reads no other file: a DOCTYPE is
 * skipped, and one with declarations of its own is refused, as is every entity that it could declare.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { MAX_DEPTH } from "./limits.ts";

const NAME = /[A-Za-z_][\w.:-]*/y;
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const TAG_END = /\s*(\/?)>/y;
const ENTITY = /&([^;&\s]{0,8}(;?))/g;
const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
const CONTROL = /[^\P{Cc}\t\n\r]/u;

/** An element, without what it contains. */
export interface Element {
  /** Its name. */
  readonly name: string;
  /** Its attributes, decoded. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Whether it ends where it begins: `<pu/>`. */
  readonly empty: boolean;
  /** Where it begins in the text. */
  readonly at: number;
}

/** Goes through a text once, from the front to the end. */
export class Scanner {
  readonly #text: string;
  readonly #action: string;
  #at = 0;
  #depth = 0;

  /**
   * Checks what can be seen without reading it.
   *
   * @param text The whole text.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL` it has control characters.
   */
  constructor(text: string, action: string) {
    this.#text = text;
    this.#action = action;
    const control = CONTROL.exec(text);
    if (control !== null) throw this.fail("a control character, which XML has not", control.index);
  }

  /**
   * The error of a text that is not what it should be.
   *
   * @param why What is wrong.
   * @param at Where.
   * @param fix What to do about it.
   * @returns An `EINVAL` that names the line.
   */
  fail(
    why: string,
    at: number,
    fix = "The file is damaged, or was not written by hwloc.",
  ): NumaError {
    const line = this.#text.slice(0, at).split("\n").length;
    return new NumaError("EINVAL", this.#action, { why: `line ${line}: ${why}`, fix });
  }

  /**
   * The element around everything.
   *
   * @returns It; `children` reads what it contains.
   * @throws {NumaError} `EINVAL`.
   */
  root(): Element {
    const before = this.#toTag();
    if (before.trim() !== "") throw this.fail("text before the first element: this is not XML", 0);
    if (this.#at === this.#text.length) throw this.fail("there is no element in it", this.#at);
    return this.#open();
  }

  /**
   * Reads what an element contains, up to its end.
   *
   * @param parent The element, which has just been read.
   * @param visit Reads a child, with all that the child contains.
   * @returns The text between the children.
   * @throws {NumaError} `EINVAL`.
   */
  children(parent: Element, visit: (child: Element) => void): string {
    return this.#read(parent, visit, true);
  }

  /**
   * Reads what an element contains where that has no text.
   *
   * @param parent The element, which has just been read.
   * @param visit Reads a child, with all that the child contains.
   * @throws {NumaError} `EINVAL`.
   */
  elements(parent: Element, visit: (child: Element) => void): void {
    this.#read(parent, visit, false);
  }

  #read(parent: Element, visit: (child: Element) => void, mayHaveText: boolean): string {
    if (parent.empty) return "";
    if (++this.#depth > MAX_DEPTH) {
      throw this.fail(
        `elements are more than ${MAX_DEPTH} deep in each other`,
        parent.at,
        "That is the most that numakit reads.",
      );
    }
    const parts: string[] = [];
    for (;;) {
      const from = this.#at;
      const text = this.#toTag();
      if (mayHaveText) parts.push(text);
      else if (text.trim() !== "") {
        throw this.fail(`text in <${parent.name}>`, this.#text.indexOf(text.trimStart()[0]!, from));
      }
      if (this.#at === this.#text.length) {
        throw this.fail(`the file ends before this <${parent.name}> does`, parent.at);
      }
      if (this.#text[this.#at + 1] === "/") break;
      visit(this.#open());
    }
    this.#close(parent);
    this.#depth--;
    return parts.join("");
  }

  /**
   * Passes over what an element contains.
   *
   * @param element The element, which has just been read.
   */
  skip(element: Element): void {
    this.children(element, (child) => this.skip(child));
  }

  /**
   * Reads what comes after the first element.
   *
   * @throws {NumaError} `EINVAL` there is something.
   */
  end(): void {
    const rest = this.#toTag();
    if (rest.trim() !== "" || this.#at < this.#text.length) {
      throw this.fail("something follows the end of the first element", this.#at);
    }
  }

  /** Goes to the next tag or the end of the text, past comments and the like. Gives the text on the way. */
  #toTag(): string {
    let passed = "";
    for (;;) {
      const at = this.#text.indexOf("<", this.#at);
      passed += this.#text.slice(this.#at, at < 0 ? undefined : at);
      this.#at = at < 0 ? this.#text.length : at;
      if (this.#text.startsWith("<!--", this.#at)) this.#pass("<!--", "-->");
      else if (this.#text.startsWith("<?", this.#at)) this.#pass("<?", "?>");
      else if (this.#text.startsWith("<!DOCTYPE", this.#at)) this.#pass("<!DOCTYPE", ">");
      else return passed;
    }
  }

  #pass(begin: string, end: string): void {
    const at = this.#text.indexOf(end, this.#at + begin.length);
    if (at < 0) throw this.fail(`${begin} without ${end}`, this.#at);
    if (begin === "<!DOCTYPE" && this.#text.slice(this.#at, at).includes("[")) {
      throw this.fail(
        "a DOCTYPE with declarations of its own, which numakit does not read",
        this.#at,
      );
    }
    this.#at = at + end.length;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #open(): Element {
    const at = this.#at++;
    const name = this.#match(NAME)?.[0];
    if (name === undefined) throw this.fail('"<" without the name of an element', at);
    const attributes = new Map<string, string>();
    for (let found = this.#match(ATTRIBUTE); found !== null; found = this.#match(ATTRIBUTE)) {
      const [, key, double, single] = found;
      if (attributes.has(key!)) throw this.fail(`<${name}> has ${key} twice`, at);
      attributes.set(key!, this.#decode(double ?? single ?? "", at));
    }
    const end = this.#match(TAG_END);
    if (end === null) throw this.fail(`<${name}> has an attribute that cannot be read`, this.#at);
    return { name, attributes, empty: end[1] === "/", at };
  }

  #close(parent: Element): void {
    const at = this.#at;
    this.#at += 2;
    const name = this.#match(NAME)?.[0] ?? "";
    const end = this.#match(TAG_END);
    if (name !== parent.name || end === null || end[1] !== "") {
      throw this.fail(`</${name}> where </${parent.name}> should be`, at);
    }
  }

  #decode(value: string, at: number): string {
    if (!value.includes("&")) return value;
    return value.replace(ENTITY, (text: string, body: string, end: string) => {
      const name = body.slice(0, -1);
      const known = ENTITIES[name];
      const digits = /^#(?:(\d+)|x([\dA-Fa-f]+))$/.exec(name);
      if (end === "" || (known === undefined && digits === null)) {
        throw this.fail(`the entity ${text}, which numakit does not know`, at);
      }
      if (known !== undefined) return known;
      const [, decimal, hex] = digits!;
      const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
      const character = code > 0x10_ffff ? "\0" : String.fromCodePoint(code);
      if (CONTROL.test(character)) throw this.fail(`the character ${text}, which XML has not`, at);
      return character;
    });
  }
}
