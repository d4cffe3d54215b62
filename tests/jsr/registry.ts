import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** What a client asked for. */
type Answer = readonly [status: number, type: string, body: Uint8Array | string];

const TYPES: Readonly<Record<string, string>> = {
  ts: "text/typescript",
  json: "application/json",
  md: "text/markdown",
  txt: "text/plain",
};

const BLOCK = 512;

/** The regular files of a tar archive, by name. */
function untar(tar: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number): string =>
    new TextDecoder().decode(tar.subarray(from, from + length)).replace(/\0.*$/s, "");
  for (let at = 0; text(at, 100) !== "";) {
    const bytes = parseInt(text(at + 124, 12), 8);
    const name = text(at, 100).replace(/^\.?\//, "");
    if (["", "0"].includes(text(at + 156, 1))) {
      files.set(name, tar.slice(at + BLOCK, at + BLOCK + bytes));
    }
    at += BLOCK + Math.ceil(bytes / BLOCK) * BLOCK;
  }
  return files;
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function json(value: unknown): Answer {
  return [200, "application/json", JSON.stringify(value)];
}

const NOT_FOUND: Answer = [404, "text/plain", "not here"];

/** A package registry with JSR's protocol, in memory: `deno publish` fills it, `jsr:` specifiers read it. */
export class Registry {
  /** The published files by their path in the package. Changing them changes what is served. */
  files: Map<string, Uint8Array> = new Map();
  /** The paths that were asked for. */
  requests: string[] = [];
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #port = 0;
  #version = "";
  #exports: unknown = {};

  /** Its address, with a slash at the end: what the variable JSR_URL has to be. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Goes online, on the same port as before. */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Goes offline. */
  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "", this.url);
    this.requests.push(pathname);
    const [status, type, body] = request.method === "POST"
      ? this.#publish(pathname, await readBody(request))
      : this.#get(pathname);
    response.writeHead(status, { "content-type": type }).end(body);
  }

  #publish(path: string, body: Uint8Array): Answer {
    const version = /^\/api\/scopes\/numakit\/packages\/numakit\/versions\/([\d.]+)$/.exec(path)
      ?.[1];
    if (version === undefined) return NOT_FOUND;
    // A Buffer's slices share its memory, a Uint8Array's are copies.
    this.files = untar(new Uint8Array(gunzipSync(body)));
    this.#version = version;
    const config = JSON.parse(new TextDecoder().decode(this.files.get("deno.json")));
    this.#exports = (config as { exports: unknown }).exports;
    return json({ id: "1", status: "success", error: null });
  }

  #get(path: string): Answer {
    if (path === "/api/scopes/numakit/packages/numakit") return json({});
    const name = path.replace(/^\/@numakit\/numakit\//, "");
    if (name === "meta.json") {
      const versions = { [this.#version]: {} };
      return json({ scope: "numakit", name: "numakit", latest: this.#version, versions });
    }
    if (name === `${this.#version}_meta.json`) {
      return json({ manifest: this.#manifest(), exports: this.#exports });
    }
    const file = name.slice(this.#version.length + 1);
    const bytes = name.startsWith(`${this.#version}/`) ? this.files.get(file) : undefined;
    if (bytes === undefined) return NOT_FOUND;
    const type = TYPES[/\.(\w+)$/.exec(file)?.[1] ?? ""] ?? "application/octet-stream";
    return [200, type, bytes];
  }

  #manifest(): Record<string, { size: number; checksum: string }> {
    const entries = [...this.files].map(([name, bytes]) => {
      const sum = createHash("sha256").update(bytes).digest("hex");
      return [`/${name}`, { size: bytes.length, checksum: `sha256-${sum}` }];
    });
    return Object.fromEntries(entries);
  }
}
