/**
 * What the runtimes' native code does with a view while JavaScript goes on: one row a consumer.
 *
 * Each starts an operation on a view, which goes on after the call has returned, and resolves when it has ended, to the
 * bytes that came out of it where there are some.
 *
 * @module
 */
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import dgram from "node:dgram";
import fs from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { onNode20 } from "./checkout.ts";

/** A view of an arena. */
export type View = Uint8Array<ArrayBuffer>;

/** What came out of an operation; undefined where nothing can be looked at. */
export type Outcome = Promise<Uint8Array | undefined>;

/** What an operation tells and asks. */
export interface Moment {
  /** To be called when the operation has begun; needed where that is not so when `start` returns. */
  begun(): void;
  /** Resolves when the view's arena is gone, and another one in its place: whoever receives begins only then. */
  readonly replaced: Promise<void>;
}

/** One kind of operation. */
export interface Consumer {
  readonly name: string;
  /** Whether it writes into the view; it reads otherwise. */
  readonly writes?: boolean;
  /** What the view has to hold at first. Default: anything. */
  readonly input?: (bytes: number) => Uint8Array;
  /** Whether it says itself when it has begun. */
  readonly late?: boolean;
  /** Starts the operation. */
  start(view: View, moment: Moment): Outcome;
}

/** The consumers, and what ends what they need. */
export interface Consumers {
  readonly all: readonly Consumer[];
  close(): void;
}

const listening = (server: net.Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Files: written and read by descriptor, and by a stream. */
function files(folder: string): Consumer[] {
  const path = join(folder, "written");
  const source = join(folder, "source");
  fs.writeFileSync(source, new Uint8Array(2 ** 20).fill(0x33));
  return [
    {
      name: "fs.write",
      start: (view) =>
        new Promise((resolve, reject) => {
          const file = fs.openSync(path, "w");
          fs.write(file, view, 0, view.length, 0, (error) => {
            fs.closeSync(file);
            if (error === null) resolve(fs.readFileSync(path));
            else reject(error);
          });
        }),
    },
    {
      name: "fs.read",
      writes: true,
      start: (view) =>
        new Promise((resolve, reject) => {
          const file = fs.openSync(source, "r");
          fs.read(file, view, 0, view.length, 0, (error) => {
            fs.closeSync(file);
            if (error === null) resolve(undefined);
            else reject(error);
          });
        }),
    },
    {
      name: "fs.createWriteStream",
      late: true,
      start: (view, { begun }) =>
        new Promise((resolve, reject) => {
          const stream = fs.createWriteStream(path);
          stream.on("error", reject);
          stream.on("close", () => resolve(fs.readFileSync(path)));
          stream.on("ready", () => {
            stream.end(view);
            begun();
          });
        }),
    },
  ];
}

/** Sockets, HTTP, and the pipe of a child process. */
async function streams(): Promise<{ readonly all: Consumer[]; readonly servers: net.Server[] }> {
  let served: (socket: net.Socket) => void = () => {};
  const sink = net.createServer((socket) => served(socket));
  const sinkPort = await listening(sink);
  let respond: (response: http.ServerResponse) => void = () => {};
  let replaced: Promise<void> = Promise.resolve();
  const web = http.createServer((request, response) => {
    if (request.method === "GET") {
      respond(response);
      return;
    }
    void replaced.then(() => collect(request))
      .then((bytes) => response.end(bytes), () => response.destroy());
  });
  const webPort = await listening(web);
  const url = `http://127.0.0.1:${webPort}/`;
  const all: Consumer[] = [
    {
      name: "a socket",
      late: true,
      start: (view, moment) =>
        new Promise((resolve, reject) => {
          served = (from) => void moment.replaced.then(() => collect(from)).then(resolve, reject);
          const socket = net.connect(sinkPort, "127.0.0.1");
          socket.on("error", reject);
          socket.on("connect", () => {
            socket.end(view);
            moment.begun();
          });
        }),
    },
    {
      name: "an HTTP response",
      late: true,
      start: (view, moment) =>
        new Promise((resolve, reject) => {
          respond = (response) => {
            response.end(view);
            moment.begun();
          };
          const request = http.get(url, { agent: false }, (response) => {
            void moment.replaced.then(() => collect(response)).then(resolve, reject);
          });
          request.on("error", reject);
        }),
    },
    {
      name: "an HTTP request",
      late: true,
      start: (view, moment) =>
        new Promise((resolve, reject) => {
          replaced = moment.replaced;
          const options = {
            method: "POST",
            agent: false,
            headers: { "content-length": view.length },
          };
          const request = http.request(url, options, (response) => {
            collect(response).then(resolve, reject);
          });
          request.on("error", reject);
          request.on("socket", (socket) => {
            socket.on("connect", () => {
              request.end(view);
              moment.begun();
            });
          });
          request.flushHeaders();
        }),
    },
    {
      name: "fetch",
      start: async (view, moment) => {
        replaced = moment.replaced;
        const response = await fetch(url, { method: "POST", body: view });
        return new Uint8Array(await response.arrayBuffer());
      },
    },
    {
      name: "the pipe of a child process",
      start: (view, moment) =>
        new Promise((resolve, reject) => {
          const child = spawn("cat", { stdio: ["pipe", "pipe", "ignore"] });
          child.on("error", reject);
          child.stdin.on("error", reject);
          child.stdin.end(view);
          void moment.replaced.then(() => collect(child.stdout)).then(resolve, reject);
        }),
    },
    {
      name: "a datagram",
      late: true,
      start: (view, { begun }) =>
        new Promise((resolve, reject) => {
          const to = dgram.createSocket("udp4");
          const from = dgram.createSocket("udp4");
          const end = (bytes?: Uint8Array, error?: Error | null): void => {
            to.close();
            from.close();
            if (error) reject(error);
            else resolve(bytes);
          };
          to.on("message", (bytes) => end(bytes));
          to.bind(0, "127.0.0.1", () => {
            from.send(view.subarray(0, 60_000), to.address().port, "127.0.0.1", (error) => {
              if (error) end(undefined, error);
            });
            begun();
          });
        }),
    },
  ];
  return { all, servers: [sink, web] };
}

/** Padded: whoever unpacks it stops at its end. */
const padded = (packed: Uint8Array, bytes: number): Uint8Array => {
  const out = new Uint8Array(bytes);
  out.set(packed.subarray(0, bytes));
  return out;
};

function compression(): Consumer[] {
  const deflate = promisify(zlib.deflate);
  const brotli = promisify(zlib.brotliCompress);
  const gunzip = promisify(zlib.gunzip);
  return [
    { name: "zlib.deflate", start: async (view) => zlib.inflateSync(await deflate(view)) },
    {
      name: "zlib.brotliCompress",
      start: async (view) => {
        const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 };
        return zlib.brotliDecompressSync(await brotli(view, { params }));
      },
    },
    // Node 20 aborts when the input of it dies, whoever took it (docs/runtimes.md).
    ...onNode20 ? [] : [{
      name: "zlib.gunzip",
      input: (bytes: number) => padded(zlib.gzipSync(new Uint8Array(bytes / 2).fill(0x11)), bytes),
      start: (view: View) => gunzip(view),
    }],
    {
      name: "CompressionStream",
      start: async (view) => {
        const { readable, writable } = new CompressionStream("gzip");
        const writer = writable.getWriter();
        const written = writer.write(view).then(() => writer.close());
        const [packed] = await Promise.all([new Response(readable).arrayBuffer(), written]);
        return zlib.gunzipSync(packed);
      },
    },
  ];
}

function cryptography(): Consumer[] {
  return [
    {
      name: "crypto.subtle.digest",
      start: async (view) => {
        await crypto.subtle.digest("SHA-512", view);
        return undefined;
      },
    },
    {
      name: "crypto.subtle.encrypt",
      start: async (view) => {
        // Counter mode with a known key: what went in can be told.
        const raw = new Uint8Array(16);
        const how = { name: "AES-CTR", counter: new Uint8Array(16), length: 64 };
        const cipher = crypto.createDecipheriv("aes-128-ctr", raw, how.counter);
        const sealed = await (await importedKey).encrypt(how, view);
        return cipher.update(new Uint8Array(sealed));
      },
    },
    {
      name: "crypto.randomFill",
      writes: true,
      start: (view) =>
        new Promise((resolve, reject) => {
          crypto.randomFill(view, (error) => error === null ? resolve(undefined) : reject(error));
        }),
    },
    {
      name: "crypto.pbkdf2",
      start: (view) =>
        new Promise((resolve, reject) => {
          crypto.pbkdf2(view, "salt", 10, 64, "sha512", (error) => {
            if (error === null) resolve(undefined);
            else reject(error);
          });
        }),
    },
  ];
}

interface Key {
  encrypt(
    how: { name: string; counter: Uint8Array; length: number },
    view: View,
  ): Promise<ArrayBuffer>;
}

const importedKey: Promise<Key> = crypto.subtle
  .importKey("raw", new Uint8Array(16), "AES-CTR", false, ["encrypt"])
  .then((key) => ({ encrypt: (how, view) => crypto.subtle.encrypt(how, key, view) }));

/** A module with one function and a long custom section behind it. */
function wasmModule(bytes: number): Uint8Array {
  const out = new Uint8Array(bytes).fill(0x11);
  const head = [
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    1,
    4,
    1,
    0x60,
    0,
    0,
    3,
    2,
    1,
    0,
    10,
    4,
    1,
    2,
    0,
    0x0b,
  ];
  out.set(head);
  const rest = bytes - head.length - 6;
  out[head.length] = 0;
  for (let digit = 0; digit < 5; digit++) {
    out[head.length + 1 + digit] = (rest >>> (7 * digit)) & 0x7f | (digit < 4 ? 0x80 : 0);
  }
  out.set([1, 0x78], head.length + 6);
  return out;
}

/** The part of WebAssembly that is used here: the types of Node do not have it. */
const { WebAssembly: { compile, Module } } = globalThis as unknown as {
  WebAssembly: {
    compile(bytes: View): Promise<object>;
    Module: { customSections(module: object, name: string): ArrayBuffer[] };
  };
};

function others(): Consumer[] {
  return [
    {
      name: "WebAssembly.compile",
      input: wasmModule,
      start: async (view) => {
        const [section] = Module.customSections(await compile(view), "x");
        return section === undefined ? undefined : new Uint8Array(section);
      },
    },
    {
      name: "TextDecoderStream",
      start: async (view) => {
        const { readable, writable } = new TextDecoderStream("latin1");
        const writer = writable.getWriter();
        const written = writer.write(view).then(() => writer.close());
        const reader = readable.getReader();
        let text = "";
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          text += value;
        }
        await written;
        return Buffer.from(text, "latin1");
      },
    },
    {
      name: "Blob",
      start: async (view) => new Uint8Array(await new Blob([view]).arrayBuffer()),
    },
    {
      name: "Response",
      start: async (view) => new Uint8Array(await new Response(view).arrayBuffer()),
    },
  ];
}

/**
 * All of them, with the servers they need, on this machine's own address.
 *
 * @returns Close them when done.
 */
export async function openConsumers(): Promise<Consumers> {
  const folder = fs.mkdtempSync(join(tmpdir(), "numakit-"));
  const { all, servers } = await streams();
  return {
    all: [...files(folder), ...all, ...compression(), ...cryptography(), ...others()],
    close() {
      for (const server of servers) server.close();
      fs.rmSync(folder, { recursive: true });
    },
  };
}
