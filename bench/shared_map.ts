/**
 * The class of sharedmap, an npm package without types that compile, and which is an ES module in a file that Node takes
 * for CommonJS.
 */
import { createRequire } from "node:module";

/** What is used of it. */
export interface SharedMap {
  get(key: string): string | undefined;
  set(key: string, value: string | number): void;
}

/** Makes one of so many entries, with room for keys and values of so many characters. */
export const SharedMap: new (entries: number, keyLength: number, valueLength: number) => SharedMap =
  createRequire(import.meta.url)("sharedmap");
