/** Tasks for piscina and tinypool, which give them one argument. */
import * as functions from "./functions.ts";
import { pinWorker } from "./pin.ts";

pinWorker();

export const add = ([a, b]: readonly [number, number]): number => functions.add(a, b);
export const empty = (): void => functions.empty();
export const where = (): number => functions.where();
