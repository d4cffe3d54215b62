/**
 * All bytes of a stream.
 *
 * @param stream The stream.
 * @returns Its bytes.
 */
export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
