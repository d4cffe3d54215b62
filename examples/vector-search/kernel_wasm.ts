/**
 * The kernel in WebAssembly, with instructions that work on four floats at a time (SIMD):
 *
 *     scores(vectors, count, query, bytes, scores):
 *       do
 *         sums = four times four zeros
 *         at = query; end = query + bytes
 *         do
 *           for each of four sums: sum += four floats at `vectors` * four floats at `at`
 *           vectors += 64; at += 64
 *         while at < end
 *         store the sum of all sums at `scores`
 *         scores += 4; count -= 1
 *       while count
 *
 * Four sums, because an addition takes four cycles or so, and the next one to the same sum has to wait for it.
 */
import {
  type Code,
  get,
  i32,
  lane,
  list,
  load4,
  MOST_PAGES,
  name,
  OP,
  repeatWhile,
  section,
  set,
  sized,
  storeFloat,
  tee,
  TYPE,
  u32,
  zeros,
} from "./wasm.ts";

/** Parameters, and then local variables, by their numbers. */
const [VECTORS, COUNT, QUERY, BYTES, SCORES, AT, END, SUM] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
/** Sums, of four floats each. */
const SUMS = [0, 1, 2, 3] as const;
const FOUR_FLOATS = 16;
/** What one turn of the inner loop takes. */
const STEP = SUMS.length * FOUR_FLOATS;

/** Adds a number to a local variable, and leaves the result on the stack. */
const advance = (local: number, by: number): Code => [
  ...[...get(local), ...i32(by), ...OP.i32Add, ...tee(local)],
];
const drop: Code = [0x1a];

/** sum += vectors[] * query[], of four floats. */
const addProducts = (sum: number): Code => [
  ...[...get(SUM + sum), ...get(VECTORS), ...load4(sum * FOUR_FLOATS)],
  ...[...get(AT), ...load4(sum * FOUR_FLOATS), ...OP.f32x4Mul],
  ...[...OP.f32x4Add, ...set(SUM + sum)],
];

const addSums = (to: number, from: number): Code => [
  ...[...get(SUM + to), ...get(SUM + from), ...OP.f32x4Add, ...set(SUM + to)],
];

const body: Code = [
  ...repeatWhile(
    ...SUMS.map((sum): Code => [...zeros, ...set(SUM + sum)]),
    [...get(QUERY), ...tee(AT), ...get(BYTES), ...OP.i32Add, ...set(END)],
    repeatWhile(
      ...SUMS.map(addProducts),
      [...advance(VECTORS, STEP), ...drop],
      [...advance(AT, STEP), ...get(END), ...OP.i32Less],
    ),
    ...[addSums(0, 1), addSums(2, 3), addSums(0, 2)],
    get(SCORES),
    [...get(SUM), ...lane(0), ...get(SUM), ...lane(1), ...OP.f32Add],
    [...get(SUM), ...lane(2), ...get(SUM), ...lane(3), ...OP.f32Add],
    [...OP.f32Add, ...storeFloat],
    [...advance(SCORES, 4), ...drop],
    [...get(COUNT), ...i32(1), ...OP.i32Sub, ...tee(COUNT)],
  ),
  ...OP.end,
];

/** No function has results; memory that is shared has to have a maximum. */
const FUNCTION = 0x60;
const SHARED_WITH_MAXIMUM = 3;
const MEMORY = 2;

/** The module. */
export const KERNEL = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  // Types: of the one function.
  ...section(1, list([FUNCTION, ...list(...new Array<Code>(5).fill(TYPE.i32)), ...list()])),
  // Imports: the memory, of any size.
  ...section(
    2,
    list([
      ...[...name("kernel"), ...name("memory")],
      ...[MEMORY, SHARED_WITH_MAXIMUM, ...u32(0), ...u32(MOST_PAGES)],
    ]),
  ),
  // Functions: one, of the first type; exported; and its code, which begins with its local variables.
  ...section(3, list(u32(0))),
  ...section(7, list([...name("scores"), 0, ...u32(0)])),
  ...section(
    10,
    list(sized(list([...u32(2), ...TYPE.i32], [...u32(SUMS.length), ...TYPE.v128]), body)),
  ),
]);
