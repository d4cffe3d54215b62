import assert from "node:assert/strict";
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

interface Heap {
  readonly asked: string;
  readonly got: string;
  readonly node?: number;
  readonly refused?: string;
}

interface Told {
  readonly prefer: Heap;
  readonly bind: string | Heap;
  readonly default: Heap;
  readonly arena: string;
  readonly placement: string;
  readonly buffer: string;
}

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

  it("a heap policy is a wish unless it is required, and none asks for nothing", () => {
    const { told } = tell(DEFAULT, "prefer", "bind");
    assert.match(told.prefer.refused ?? "", REFUSED);
    assert.match(told.prefer.refused ?? "", LINE);
    assert.deepEqual({ ...told.prefer, refused: "" }, {
      asked: "prefer",
      got: "default",
      refused: "",
    });
    assert.match(String(told.bind), REFUSED);
    assert.match(String(told.bind), LINE);
    const { told: { default: none }, trace } = tell(DEFAULT, "default");
    assert.deepEqual(none, { asked: "default", got: "default" });
    assert.match(trace, /nk_affinity_set/);
    assert.doesNotMatch(trace, /nk_policy_set/);
  });

  it("memory is refused, and cannot be asked about, with the line that allows it", () => {
    const { told } = tell(DEFAULT, "arena", "placement", "buffer");
    for (const text of [told.arena, told.placement, told.buffer]) {
      assert.match(text, REFUSED);
      assert.match(text, LINE);
    }
  });

  it("memory is placed and proven with that line, although move_pages stays refused", () => {
    const { told } = tell(GRANTED, "prefer", "bind", "arena", "placement", "buffer");
    const pages = 2 ** 20 / 4096;
    assert.deepEqual(told, {
      prefer: { asked: "prefer", got: "prefer", node: 0 },
      bind: { asked: "bind", got: "bind", node: 0 },
      arena: String(pages),
      placement: String(topology().nodes.length === 1),
      buffer: "true",
    });
  });
});
