import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { topology } from "../../mod.ts";
import {
  checkout,
  checkoutFile,
  onNode20,
  type Ran,
  runModule,
  sibling,
} from "../support/checkout.ts";
import { noPolicies } from "../support/policies.ts";

/** As `docker run` does it: native/tests/container.c. */
const DEFAULT = [checkoutFile("native/build/container")];
/** With the line that numakit's errors name. */
const GRANTED = [...DEFAULT, "--cap-add", "SYS_NICE"];

/** With a profile that also keeps threads from being pinned. */
const UNPINNABLE = [...DEFAULT, "--refuse", "sched_setaffinity"];

const LINE = /`docker run --cap-add SYS_NICE` \(Kubernetes: securityContext\.capabilities\.add/;
const REFUSED = /^EPERM: Cannot .* the system forbids it \(EPERM\)/;
const skip = noPolicies;

const demo = (within: readonly string[]): Ran =>
  runModule(sibling(import.meta.url, "../../lib/cli/bin"), {
    within,
    args: ["demo"],
    env: { NO_COLOR: "1" },
  });

const quickStart = (within: readonly string[]): Ran =>
  runModule(new URL("docs/quickstart/main.ts", checkout), { within });

function tell(within: readonly string[], ...args: string[]): { told: Told; trace: string } {
  const module = sibling(import.meta.url, "../modules/container");
  const ran = runModule(module, { within, args, env: { NUMAKIT_TRACE: "1" } });
  assert.equal(ran.status, 0, ran.stderr);
  return { told: JSON.parse(ran.stdout) as Told, trace: ran.stderr };
}

interface Side<Asked> {
  readonly strength: string;
  readonly asked?: Asked;
  readonly got?: Asked;
  readonly refused?: string;
}

interface Bound {
  readonly cpus: Side<string>;
  readonly memory: Side<number>;
}

interface Told {
  readonly prefer: Bound;
  readonly require: string | Bound;
  readonly off: Bound;
  readonly pin: Bound;
  readonly "pin required": string;
  readonly nice: readonly unknown[];
  readonly arena: string;
  readonly placement: string;
  readonly buffer: string;
}

/** Whether this process has CAP_SYS_NICE to give away, and not only in a namespace of users. */
function mayBeLessNice(): boolean {
  const [, capabilities] = /^CapEff:\t(.*)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return process.getuid?.() === 0 && (BigInt(`0x${capabilities}`) >> 23n & 1n) === 1n;
}

/** The CPUs of node 0 that tests may use. */
const cpus = String(topology().cpusOfNode(0).intersection(topology().allowedCpus));
const home = String(topology().allowedCpus);

describe("in a default container", { skip }, () => {
  it("the demo shows what can be shown, and names the line that allows the rest", () => {
    const { stdout, stderr, status } = demo(DEFAULT);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^NUMA nodes/m);
    assert.match(stdout, /✗ there is none here: .*EPERM/);
    assert.match(stdout, /✓ it ran on CPU \d+ of node 0/);
    assert.match(stdout, /✗ its own heap comes from wherever it runs: .*EPERM/);
    assert.equal(stdout.match(new RegExp(LINE, "g"))?.length, 2);
  });

  it("the demo shows everything once that line is there", () => {
    const { stdout, stderr, status } = demo(GRANTED);
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stdout, /✗/);
    assert.match(stdout, /✓ its own heap comes from node 0/);
    assert.match(stdout, /What 1024 bytes cost/);
  });

  const typescript = { skip: onNode20 && "Node 20 runs no TypeScript" };
  it("the quick start prints the machine and the line; with the line, all", typescript, () => {
    const refused = quickStart(DEFAULT);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stdout, /^1 NUMA node|^\d+ NUMA nodes/);
    assert.match(refused.stderr, /Cannot create an arena of 1 MiB/);
    assert.match(refused.stderr, LINE);
    const granted = quickStart(GRANTED);
    assert.equal(granted.status, 0, granted.stderr);
    assert.match(granted.stdout, /^1024$/m);
  });

  it("threads run pinned, and say what was refused unless it is required", () => {
    const { told } = tell(DEFAULT, "prefer", "require", "pin", "pin required");
    for (const { cpus: onCpus, memory } of [told.prefer, told.pin]) {
      assert.deepEqual(onCpus, { strength: "prefer", asked: cpus, got: cpus });
      assert.match(memory.refused ?? "", REFUSED);
      assert.match(memory.refused ?? "", LINE);
      assert.deepEqual({ ...memory, refused: "" }, { strength: "prefer", asked: 0, refused: "" });
    }
    for (const text of [told.require, told["pin required"]]) {
      assert.match(String(text), REFUSED);
      assert.match(String(text), LINE);
    }
    const { told: { off }, trace } = tell(DEFAULT, "off");
    assert.deepEqual(off, {
      cpus: { strength: "off", asked: "undefined", got: home },
      memory: { strength: "off" },
    });
    assert.doesNotMatch(trace, /nk_policy_|nk_affinity_set/);
  });

  it("threads run where they cannot be pinned, and say so unless it is required", () => {
    const { told } = tell(UNPINNABLE, "prefer", "require", "off", "pin", "pin required");
    for (const { cpus: onCpus } of [told.prefer, told.pin]) {
      assert.match(onCpus.refused ?? "", REFUSED);
      assert.match(onCpus.refused ?? "", /sched_setaffinity/);
      assert.deepEqual({ ...onCpus, refused: "" }, {
        strength: "prefer",
        asked: cpus,
        got: home,
        refused: "",
      });
    }
    for (const text of [told.require, told["pin required"]]) {
      assert.match(String(text), /^EPERM: Cannot pin this thread to CPUs/);
    }
    assert.equal(told.off.cpus.got, home);
  });

  it("threads get nicer, not less nice, and their heaps cannot be sampled", () => {
    const [nice, refused, still, sample, less] = tell(DEFAULT, "nice").told.nice;
    assert.deepEqual([nice, still], [5, 5]);
    for (const text of [refused, less]) assert.match(String(text), /^EPERM: Cannot .*SYS_NICE/);
    assert.match(String(sample), REFUSED);
    const granted = tell(GRANTED, "nice").told.nice;
    assert.equal(granted[3], "[object Object]");
    if (mayBeLessNice()) assert.deepEqual(granted, [5, "undefined", 0, "[object Object]", 1]);
  });

  it("memory is refused, and cannot be asked about, with the line that allows it", () => {
    const { told } = tell(DEFAULT, "arena", "placement", "buffer");
    for (const text of [told.arena, told.placement, told.buffer]) {
      assert.match(text, REFUSED);
      assert.match(text, LINE);
    }
  });

  it("memory is placed and proven with that line, although move_pages stays refused", () => {
    const { told } = tell(GRANTED, "prefer", "require", "arena", "placement", "buffer");
    const pages = 2 ** 20 / 4096;
    assert.deepEqual(told, {
      prefer: {
        cpus: { strength: "prefer", asked: cpus, got: cpus },
        memory: { strength: "prefer", asked: 0, got: 0 },
      },
      require: {
        cpus: { strength: "require", asked: cpus, got: cpus },
        memory: { strength: "require", asked: 0, got: 0 },
      },
      arena: String(pages),
      placement: String(topology().nodes.length === 1),
      buffer: "true",
    });
  });
});
