/**
 * Numbers below a limit in an order that no prefetcher foresees.
 *
 * @param index Which one.
 * @param limit Behind the last number.
 * @returns The number.
 */
export function mixed(index: number, limit: number): number {
  return (Math.imul(index, 0x9e3779b1) >>> 0) % limit;
}
