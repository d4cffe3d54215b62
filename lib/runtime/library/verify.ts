import { builtin } from "../builtin.ts";

/**
 * Whether bytes have a SHA-256.
 *
 * @param bytes The bytes.
 * @param sha256 The sum in lower-case hexadecimal.
 * @returns True when they do.
 */
export function hasSum(bytes: Uint8Array, sha256: string): boolean {
  return builtin("node:crypto").createHash("sha256").update(bytes).digest("hex") === sha256;
}
