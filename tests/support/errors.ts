import assert from "node:assert/strict";
import { NumaError, type NumaErrorCode } from "../../mod.ts";

function checkError(error: unknown, code: NumaErrorCode, text?: RegExp): true {
  assert.ok(error instanceof NumaError, `not a NumaError: ${error}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, /^Cannot .+: .+\./s);
  if (text !== undefined) assert.match(error.message, text);
  return true;
}

/** The call throws a NumaError of that code, whose message matches. */
export function throwsCode(call: () => unknown, code: NumaErrorCode, text?: RegExp): void {
  assert.throws(call, (error) => checkError(error, code, text));
}

/** The promise rejects with a NumaError of that code, whose message matches. */
export async function rejectsCode(
  promise: Promise<unknown>,
  code: NumaErrorCode,
  text?: RegExp,
): Promise<void> {
  await assert.rejects(promise, (error) => checkError(error, code, text));
}
