/**
 * One HTTP server for each thread, all on the same port: the kernel spreads connections over them (SO_REUSEPORT).
 *
 * Bun and Deno have servers of their own for that; on Node it is an option of `listen`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, ListenOptions } from "node:net";

/** What the handler sees of a request. */
export interface Call {
  readonly method: string;
  /** The whole URL. */
  readonly url: string;
  /** The length of the body; undefined if the client has not said it. */
  readonly length: number | undefined;
  /** Undefined if the client has gone before it has sent all of it. */
  body(): Promise<Uint8Array | undefined>;
}

/** What it makes of it. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array<ArrayBuffer> | string | undefined;
}

export type Handler = (call: Call) => Promise<Answer>;

/** A server that listens. */
export interface Listening {
  readonly port: number;
  /** Takes no more connections; resolves when the requests that are being served have their answers. */
  close(): Promise<void>;
}

interface Where {
  readonly hostname: string;
  /** 0: any that is free. */
  readonly port: number;
}

type Fetch = (request: Request) => Promise<Response>;

/** What is used here of the runtimes' own servers. */
interface Runtimes {
  readonly Bun?: {
    serve(options: Where & { readonly reusePort: true; readonly fetch: Fetch }): {
      readonly port: number;
      readonly pendingRequests: number;
      stop(force: boolean): Promise<void>;
    };
  };
  readonly Deno?: {
    serve(options: Where & { readonly reusePort: true; onListen(): void }, fetch: Fetch): {
      readonly addr: { readonly port: number };
      shutdown(): Promise<void>;
    };
  };
}

const { Bun, Deno } = globalThis as Runtimes;

/** Starts this thread's server. */
export async function listen(handler: Handler, where: Where): Promise<Listening> {
  const { fetch, drain } = fetchOf(handler);
  if (Bun !== undefined) {
    const server = Bun.serve({ ...where, reusePort: true, fetch });
    const close = async (): Promise<void> => {
      void server.stop(false);
      await drain();
      while (server.pendingRequests > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      // Connections without a request would otherwise stay until their clients close them.
      await server.stop(true);
    };
    return { port: server.port, close };
  }
  if (Deno !== undefined) {
    const server = Deno.serve({ ...where, reusePort: true, onListen() {} }, fetch);
    // Its shutdown breaks off bodies that are still being received.
    const close = (): Promise<void> => drain().then(() => server.shutdown());
    return { port: server.addr.port, close };
  }
  const server = createServer((request, response) => {
    void serveOnNode(handler, request, response);
    // Else a connection that had a request when the server was closed would stay for some seconds.
    response.on("close", () => {
      if (!server.listening) server.closeIdleConnections();
    });
  });
  const { hostname: host, port } = where;
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen({ host, port, reusePort: true } as ListenOptions, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const gone = (): undefined => undefined;

function lengthOf(header: string | null | undefined): number | undefined {
  return typeof header === "string" ? Number(header) : undefined;
}

/** The handler as `fetch` has it. `drain` refuses what is new, and resolves when all else has its answer. */
function fetchOf(handler: Handler): { readonly fetch: Fetch; drain(): Promise<void> } {
  const pending = new Set<Promise<Answer>>();
  let isDraining = false;
  const fetch: Fetch = async (request) => {
    if (isDraining) return new Response(null, { status: 503, headers: { connection: "close" } });
    const answer = handler({
      method: request.method,
      url: request.url,
      length: lengthOf(request.headers.get("content-length")),
      body: () => request.arrayBuffer().then((bytes) => new Uint8Array(bytes), gone),
    });
    pending.add(answer);
    const { status, headers, body } = await answer.finally(() => pending.delete(answer));
    return new Response(body ?? null, { status, headers });
  };
  const drain = async (): Promise<void> => {
    isDraining = true;
    await Promise.allSettled(pending);
  };
  return { fetch, drain };
}

async function serveOnNode(
  handler: Handler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, headers, body } = await handler({
    method: request.method ?? "",
    url: `http://localhost${request.url}`,
    length: lengthOf(request.headers["content-length"]),
    body: () => Array.fromAsync(request).then((chunks) => Buffer.concat(chunks), gone),
  });
  response.statusCode = status;
  for (const [name, text] of Object.entries(headers)) response.setHeader(name, text);
  response.end(body);
}
