import { type Condition, type EventCount, type Mutex, worker } from "../../mod.ts";

/** What a thread is to do. `words` are shared: what has been made, and how many threads are ready. */
export type ConditionsTask =
  & { readonly words: Int32Array; readonly times: number }
  & (
    | { readonly task: "take" | "make"; readonly events: EventCount }
    | { readonly task: "consume" | "produce"; readonly lock: Mutex; readonly filled: Condition }
  );

export default worker((args: ConditionsTask): number => {
  const { words, times } = args;
  Atomics.add(words, 1, 1);
  for (let turn = 0; turn < times; turn++) {
    switch (args.task) {
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
    }
  }
  return 0;
});
