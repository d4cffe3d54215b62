import type { NumaError } from "../../base/error.ts";
import { NotASet, parseBits } from "./bits.ts";
import type { Element, Scanner } from "./scan.ts";

/** What hwloc writes for an index that it does not know. */
const UNKNOWN_INDEX = 0xffff_ffff;

/** An element's attributes, decoded. */
export class Attributes {
  readonly element: Element;
  readonly #scanner: Scanner;

  /**
   * Decodes nothing yet.
   *
   * @param element The element.
   * @param scanner Makes the errors.
   */
  constructor(element: Element, scanner: Scanner) {
    this.element = element;
    this.#scanner = scanner;
  }

  /**
   * The error of this element.
   *
   * @param why What is wrong with it.
   * @param fix What to do about it.
   * @returns An `EINVAL`.
   */
  fail(why: string, fix?: string): NumaError {
    return this.#scanner.fail(why, this.element.at, fix);
  }

  /**
   * An attribute as it is.
   *
   * @param name Its name.
   * @returns Its value; undefined where there is none.
   */
  text(name: string): string | undefined {
    return this.element.attributes.get(name);
  }

  /**
   * An attribute that has to be there.
   *
   * @param name Its name.
   * @returns Its value.
   * @throws {NumaError} `EINVAL`.
   */
  required(name: string): string {
    const text = this.text(name);
    if (text === undefined) throw this.fail(`<${this.element.name}> without ${name}`);
    return text;
  }

  /**
   * A whole number.
   *
   * @param name The attribute's name.
   * @returns It; undefined where there is none.
   * @throws {NumaError} `EINVAL` it is none, or too large.
   */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
    throw this.#notA(name, text, "a whole number");
  }

  /**
   * A number that hwloc has for each object of a machine, written without zeros in front.
   *
   * @param name The attribute's name.
   * @returns Its digits; undefined where there is none.
   * @throws {NumaError} `EINVAL`.
   */
  digits(name: string): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^\d{1,20}$/.test(text)) return String(BigInt(text));
    throw this.#notA(name, text, "a whole number");
  }

  /**
   * The OS's index of an object.
   *
   * @returns It; undefined where it is not known.
   * @throws {NumaError} `EINVAL`.
   */
  index(): number | undefined {
    if (this.text("os_index") === "-1") return undefined;
    const value = this.number("os_index");
    return value === UNKNOWN_INDEX ? undefined : value;
  }

  /**
   * A set.
   *
   * @param name The attribute's name.
   * @returns It, negative where it has no end; undefined where there is none.
   * @throws {NumaError} `EINVAL` it is none, or has greater ids than numakit knows.
   */
  set(name: string): bigint | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const set = parseBits(text);
    if (!(set instanceof NotASet)) return set;
    if (!set.limit) throw this.#notA(name, text, `a set (${set.why})`);
    throw this.fail(`${name} has ${set.why}`, "That is the greatest that numakit knows.");
  }

  #notA(name: string, text: string, what: string): NumaError {
    return this.fail(`${name} is ${JSON.stringify(text.slice(0, 80))}, not ${what}`);
  }
}
