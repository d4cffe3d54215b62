// Forgets a binding, and waits until it was collected: what stays of it.
import { setTimeout as sleep } from "node:timers/promises";
import { bind } from "../../mod.ts";
import { readNumaMaps } from "../support/numa_maps.ts";
import { native } from "../../lib/runtime/native.ts";

const buffer = new SharedArrayBuffer(2 ** 20);
const bound = (): number => readNumaMaps().filter(({ policy }) => policy.startsWith("bind")).length;
const live = (): bigint => {
  const out = new BigUint64Array(2);
  native().calls.nk_binding_stats(out);
  return out[0] as bigint;
};

function forget(): void {
  const binding = bind(buffer, { node: 0 });
  console.log(binding.boundBytes > 0, live());
}

forget();
const garbage: unknown[] = [];
for (const end = Date.now() + 30_000; live() > 0n && Date.now() < end;) {
  garbage.length = 0;
  for (let count = 0; count < 100_000; count++) garbage.push({ count: [count] });
  await sleep(1);
}
console.log(live(), bound() > 0, buffer.byteLength);
