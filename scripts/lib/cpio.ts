import { Buffer } from "node:buffer";

/**
 * One member of a `cpio -H newc` archive, the format of an initramfs.
 *
 * @param path Its path.
 * @param mode Its type and permissions.
 * @param contents Its bytes; of a link, where it leads.
 * @returns The bytes of the archive, to be put one after the other. The last one is empty and called TRAILER!!!.
 */
export function member(path: string, mode: number, contents: Uint8Array): Uint8Array {
  const name = `${path}\0`;
  const sizes = [contents.length, 0, 0, 0, 0, name.length, 0];
  const fields = [0, mode, 0, 0, 1, 0, ...sizes].map((field) =>
    field.toString(16).padStart(8, "0")
  );
  const header = `070701${fields.join("")}${name}`;
  const pad = (length: number) => "\0".repeat(-length & 3);
  return Buffer.concat([
    Buffer.from(header + pad(header.length)),
    contents,
    Buffer.from(pad(contents.length)),
  ]);
}
