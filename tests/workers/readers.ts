import {
  type Condition,
  type Epoch,
  type EventCount,
  type Lock,
  type Mutex,
  type SeqLock,
  worker,
} from "../../mod.ts";
import type { Sides } from "../support/locks.ts";

/** What a thread is to do. `words` are shared; 0 to 7 are the task's, 8 counts threads that are ready. */
export type ReadersTask =
  & { readonly words: Int32Array; readonly times: number }
  & (
    | {
      readonly task: "read" | "write" | "die" | "die reading";
      readonly lock: Sides<Lock>;
    }
    | { readonly task: "look" | "put"; readonly record: SeqLock }
    | { readonly task: "take" | "make"; readonly events: EventCount }
    | { readonly task: "consume" | "produce"; readonly lock: Mutex; readonly filled: Condition }
    | { readonly task: "follow" | "replace"; readonly epoch: Epoch }
  );

const LINK = 0;
const BLOCKS = 1;

export default worker((args: ReadersTask): number => {
  const { words, times } = args;
  let result = 0;
  Atomics.add(words, 8, 1);
  Atomics.notify(words, 8);
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
      case "take":
        args.events.waitUntil(() => {
          const found = Atomics.load(words, 0);
          return found > 0 && Atomics.compareExchange(words, 0, found, found - 1) === found;
        });
        break;
      case "make":
        Atomics.add(words, 0, 1);
        args.events.notify();
        break;
      case "consume": {
        using _guard = args.lock.acquire();
        while (words[0] === 0) args.filled.wait(args.lock);
        words[0] = (words[0] as number) - 1;
        break;
      }
      case "produce": {
        using _guard = args.lock.acquire();
        words[0] = (words[0] as number) + 1;
        if (turn % 2 === 0) args.filled.signal();
        else args.filled.broadcast();
        break;
      }
      case "follow": {
        args.epoch.enter();
        const block = Atomics.load(words, LINK);
        for (let look = 0; look < 10; look++) {
          if (Atomics.load(words, BLOCKS + block) !== 0) throw new Error("reused under a reader");
        }
        args.epoch.exit();
        break;
      }
      case "replace": {
        // Two blocks: the one that is not linked is written to, and cleaned before it is linked again.
        const old = Atomics.load(words, LINK);
        Atomics.store(words, LINK, 1 - old);
        const at = args.epoch.current;
        while (!args.epoch.safe(at)) args.epoch.advance();
        Atomics.store(words, BLOCKS + old, turn + 1);
        Atomics.store(words, BLOCKS + old, 0);
        break;
      }
    }
  }
  return result;
});
