import { type Lock, type SeqLock, worker } from "../../mod.ts";
import type { Sides } from "../support/locks.ts";

/** What a thread is to do. `words` are shared. */
export type ReadersTask =
  & { readonly words: Int32Array; readonly times: number }
  & (
    | {
      readonly task: "read" | "write" | "die" | "die reading";
      readonly lock: Sides<Lock>;
    }
    | { readonly task: "look" | "put"; readonly record: SeqLock }
  );

export default worker((args: ReadersTask): number => {
  const { words, times } = args;
  let result = 0;
  for (let turn = 0; turn < times; turn++) {
    switch (args.task) {
      case "read": {
        using _guard = args.lock.read.acquire();
        if (words[0] !== words[1]) throw new Error("saw half a write");
        result = words[0] as number;
        break;
      }
      case "write": {
        using _guard = args.lock.write.acquire();
        words[0] = (words[0] as number) + 1;
        words[1] = (words[1] as number) + 1;
        break;
      }
      case "die":
        args.lock.write.acquire();
        throw new Error("died writing");
      case "die reading":
        args.lock.read.acquire();
        throw new Error("died reading");
      case "look": {
        const out = new Int32Array(args.record.words);
        args.record.read(out);
        if (out.some((word) => word !== out[0])) throw new Error("half a record");
        break;
      }
      case "put":
        args.record.write(new Int32Array(args.record.words).fill(Atomics.add(words, 0, 1)));
        break;
    }
  }
  return result;
});
