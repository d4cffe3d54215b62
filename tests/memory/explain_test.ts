import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { explainCreate, explainPopulate, type Refused } from "../../lib/memory/mapping/explain.ts";

const refused: Refused = {
  ...{ node: 0, pages: "4k", bytes: 8192, action: "do it" },
  syscall: "nk_buffer_move",
};

describe("what the helper refused", () => {
  it("is told with the function that refused, and with what that takes in a container", () => {
    const move = explainCreate(-1, refused);
    assert.deepEqual([move.code, move.syscall], ["EPERM", "nk_buffer_move"]);
    assert.match(move.message, /move_pages, which no capability does/);
    const bind = explainCreate(-1, { ...refused, syscall: "nk_binding_make" });
    assert.deepEqual([bind.code, bind.syscall], ["EPERM", "nk_binding_make"]);
    assert.match(bind.message, /--cap-add SYS_NICE/);
  });

  it("tells of small pages what is true of them", () => {
    const { code, message } = explainPopulate(-14, refused, 4096);
    assert.equal(code, "ENOMEM");
    assert.doesNotMatch(message, /hugepages/);
    assert.match(message, /stopped after 4 KiB/);
  });

  it("tells of a node that is not there, and not of the cpuset", () => {
    const { code, message } = explainCreate(-13, { ...refused, node: 1000 });
    assert.deepEqual([code, /does not exist/.test(message)], ["ENODEV", true]);
    assert.equal(explainCreate(-13, refused).code, "EACCES");
  });

  it("tells when the process may map no more", () => {
    const { code, message } = explainCreate(-87, refused);
    assert.deepEqual([code, /max_map_count/.test(message)], ["EAGAIN", true]);
  });
});
