/**
 * The log, and what is known of it: how a line becomes a record, and which country an address is from.
 *
 *     1764515000123 10.4.7.9 GET /cart/123 200 5123 1870
 *     time          address  method path   status bytes µs
 */
import { struct, type StructArray, type StructRecord, u16, u32 } from "@numakit/numakit";

/** A request, as threads hand it on: 20 bytes, without any encoding. */
export const Hit = struct({
  address: u32,
  bytes: u32,
  tookUs: u32,
  status: u16,
  /** Its index in {@linkcode ROUTES}. */
  route: u16,
  /** Its index in {@linkcode COUNTRIES}, once it is known. */
  country: u16,
});
export type HitRecord = StructRecord<typeof Hit.fields>;
export type Hits = StructArray<typeof Hit.fields>;

/** 32-bit words of a record. */
export const HIT_WORDS = Hit.size / 4;
/** How many lines travel together. */
export const BATCH = 512;
export const ROUTES = ["cart", "login", "products", "search", "static"];
export const COUNTRIES = ["AR", "DE", "IN", "JP", "KE", "NO", "US", "VN"];
/** No request takes longer. */
export const MOST_US = 2 ** 16 - 1;

const METHODS = ["GET", "GET", "GET", "HEAD", "POST"];
const STATUSES = [200, 200, 200, 200, 200, 204, 302, 404, 500];
/** Different chunks; then they come again. */
const CHUNKS = 64;

/** Reads a line. */
export function parseLine(line: string): HitRecord {
  const [, address = "", , path = "", status, bytes, tookUs] = line.split(" ");
  return {
    address: address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0),
    bytes: Number(bytes),
    tookUs: Number(tookUs),
    status: Number(status),
    route: ROUTES.indexOf(path.slice(1, path.indexOf("/", 1))),
    country: 0,
  };
}

/** The lines of a chunk. */
export function linesOf(chunk: Uint8Array): string[] {
  return new TextDecoder().decode(chunk).trimEnd().split("\n");
}

/** Networks, which are the upper half of an address, and the country of each. */
export function* networks(): Generator<[network: number, country: number]> {
  for (let network = 0; network < 256; network++) {
    yield [10 * 256 + network, network * 7 % COUNTRIES.length];
  }
}

/** Numbers below a limit: the same ones each time. */
function randomNumbers(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * limit);
  };
}

function makeChunk(chunk: number, lines: number): Uint8Array {
  const random = randomNumbers(chunk + 1);
  const one = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
  const text = Array.from({ length: lines }, (_, line) => {
    const time = 1764515000000 + chunk * BATCH + line;
    const address = `10.${random(256)}.${random(256)}.${random(256)}`;
    const path = `/${one(ROUTES)}/${random(10_000)}`;
    const tookUs = 200 + Math.floor(random(256) ** 2 * (1 - random(1000) / 1000));
    return `${time} ${address} ${one(METHODS)} ${path} ${one(STATUSES)} ${
      random(9000)
    } ${tookUs}\n`;
  });
  return new TextEncoder().encode(text.join(""));
}

/** A log of so many lines, in chunks of whole lines. */
export function* logOf(lines: number): Generator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = 0; lines > 0; chunk++, lines -= BATCH) {
    if (lines < BATCH) yield makeChunk(chunk, lines);
    else yield chunks[chunk % CHUNKS] ??= makeChunk(chunk, BATCH);
  }
}
