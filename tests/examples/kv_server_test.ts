import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { topology } from "../../mod.ts";
import { checkoutFile, onDeno, onNode20 } from "../support/checkout.ts";
import { noPolicies } from "../support/policies.ts";

interface Reply {
  readonly status: number;
  readonly worker: string;
  readonly body: string;
}

/** A server in a process of its own, on the runtime of the tests. */
class Server {
  readonly #process: ChildProcess;
  readonly said: string[] = [];
  #port = 0;

  constructor(file: string, more: readonly string[] = []) {
    const flags = onDeno ? ["run", "--no-prompt", "--allow-all", "--unstable-net"] : [];
    const path = checkoutFile(`examples/kv-server/${file}`);
    const options = ["--port", "0", "--per", "cpu", "--capacity", "8"];
    const place = noPolicies === false ? [] : ["--unplaced"];
    const words = [...flags, path, ...options, ...place, ...more];
    this.#process = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  }

  async ready(): Promise<void> {
    for await (const line of createInterface({ input: this.#process.stdout! })) {
      this.said.push(line);
      if (line === "ready") break;
    }
    this.#port = Number(/:(\d+)$/.exec(this.said[0] ?? "")?.[1]);
    assert.ok(this.#port > 0, this.said.join("\n"));
  }

  open(): Socket {
    return connect(this.#port, "127.0.0.1");
  }

  /** Asks through a connection of its own, which any of the workers may get. */
  async ask(method: string, target: string, body = ""): Promise<Reply> {
    const socket = this.open().setEncoding("utf8");
    const length = `Content-Length: ${Buffer.byteLength(body)}`;
    const head = [`${method} ${target} HTTP/1.1`, "Host: localhost", "Connection: close", length];
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    let text = "";
    for await (const chunk of socket) text += chunk;
    const [first = "", ...rest] = text.split("\r\n\r\n");
    const worker = /^x-worker: (\d+)/im.exec(first)?.[1] ?? "";
    return { status: Number(first.split(" ")[1]), worker, body: rest.join("\r\n\r\n") };
  }

  /** Asks until each worker has answered. */
  async askAll(target: string): Promise<readonly Reply[]> {
    const replies: Map<string, Reply> = new Map();
    const { size } = topology().allowedCpus;
    const workers = Math.min(size, topology().effectiveCpus);
    for (let tries = 0; tries < 1000 && replies.size < workers; tries++) {
      const reply = await this.ask("GET", target);
      replies.set(reply.worker, reply);
    }
    assert.equal(replies.size, workers);
    return [...replies.values()];
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const { exitCode } = this.#process;
    if (exitCode !== null || this.#process.signalCode !== null) return exitCode;
    const exited = once(this.#process, "exit");
    // Not its own kill: of a process that it was called for, Deno says that a signal ended it.
    process.kill(this.#process.pid as number, signal);
    return (await exited)[0] as number | null;
  }
}

const skip = onNode20 && "Node 20 runs no TypeScript";

describe("the example of a key-value server", () => {
  let server: Server;
  before(async () => {
    if (skip !== false) return;
    server = new Server("main.ts");
    await server.ready();
  });
  after(() => server?.stop("SIGKILL"));

  it("gives in each worker what was put into any", { skip }, async () => {
    for (const [key, body] of [["a", "one"], ["b%20c", "two"], ["a", "other\r\n\r\n"]] as const) {
      assert.equal((await server.ask("PUT", `/kv/${key}`, body)).status, 204);
      for (const reply of await server.askAll(`/kv/${key}`)) {
        assert.deepEqual([reply.status, reply.body], [200, body]);
      }
    }
  });

  it("forgets in each worker what is deleted", { skip }, async () => {
    await server.ask("PUT", "/kv/gone", "soon");
    assert.equal((await server.ask("DELETE", "/kv/gone")).status, 204);
    assert.equal((await server.ask("DELETE", "/kv/gone")).status, 404);
    for (const { status } of await server.askAll("/kv/gone")) assert.equal(status, 404);
  });

  it("forgets in each worker what has had its time", { skip }, async () => {
    await server.ask("PUT", "/kv/short?ttl=50", "value");
    await server.ask("PUT", "/kv/long?ttl=3600000", "value");
    await sleep(60);
    for (const { status } of await server.askAll("/kv/short")) assert.equal(status, 404);
    for (const { status } of await server.askAll("/kv/long")) assert.equal(status, 200);
  });

  it("counts for all workers", { skip }, async () => {
    await server.ask("PUT", "/kv/counted", "value");
    for (const { body } of await server.askAll("/stats")) {
      const { entries, writes, capacity } = JSON.parse(body);
      assert.ok(entries > 0 && writes >= entries && capacity >= 8 * 2 ** 20, body);
    }
  });

  it("refuses what it cannot do, and says why", { skip }, async () => {
    const large = "x".repeat(2 ** 20);
    const cases = [
      ["PUT", "/kv/a?ttl=soon", "x", 400, /ttlMs/],
      ["PUT", "/kv/large", large, 400, /more than the \d+ bytes/],
      ["PUT", "/kv/larger", `${large}x`, 413, /^$/],
      ["GET", "/kv/%ff", "", 400, /URI/],
      ["PATCH", "/kv/a", "", 405, /^$/],
      ["GET", "/other", "", 404, /^$/],
    ] as const;
    for (const [method, target, sent, status, why] of cases) {
      const reply = await server.ask(method, target, sent);
      assert.equal(reply.status, status, target);
      assert.match(reply.body, why);
    }
  });

  it("at SIGTERM gives the answers that it owes, and ends", { skip }, async () => {
    const [idle, busy] = [server.open(), server.open()];
    for (const socket of [idle, busy]) socket.setEncoding("utf8").on("error", () => {});
    idle.write("GET /kv/none HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(idle, "data");
    busy.write("PUT /kv/late HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab");
    await sleep(200);
    const ended = server.stop("SIGTERM");
    await sleep(200);
    busy.write("cd");
    assert.match((await once(busy, "data"))[0], /^HTTP\/1.1 204 /);
    assert.equal(await ended, 0);
    for (const socket of [idle, busy]) socket.destroy();
  });
});

describe("the example of a key-value server with a worker for each L3 domain", () => {
  it("has as many workers, and needs no memory on nodes", { skip }, async () => {
    const server = new Server("main.ts", ["--per", "domain", "--unplaced"]);
    try {
      await server.ready();
      const { domains, allowedCpus } = topology();
      const used = domains.map((cpus) => `${cpus.intersection(allowedCpus)}`).filter(Boolean);
      const said = server.said.slice(0, -1).map((line) => /on CPUs ([\d,:/-]+):/.exec(line)?.[1]);
      assert.deepEqual(said, used);
      assert.equal((await server.ask("PUT", "/kv/a", "value")).status, 204);
      assert.equal((await server.ask("GET", "/kv/a")).body, "value");
      assert.equal(await server.stop("SIGTERM"), 0);
    } finally {
      await server.stop("SIGKILL");
    }
  });
});

describe("what the key-value server is compared with", () => {
  for (const file of ["before/owner.ts", "before/private.ts"]) {
    it(`${file} is a server, too`, { skip }, async () => {
      const server = new Server(file);
      try {
        await server.ready();
        assert.equal((await server.ask("PUT", "/kv/a", "value")).status, 204);
        const bodies = (await server.askAll("/kv/a")).map(({ body }) => body);
        assert.ok(bodies.includes("value"), bodies.join());
        if (file.includes("owner")) assert.ok(bodies.every((body) => body === "value"));
        assert.equal(await server.stop("SIGTERM"), 0);
      } finally {
        await server.stop("SIGKILL");
      }
    });
  }
});
