import { type Epoch, worker } from "../../mod.ts";

/** What a thread is to do: look at the block that is linked, or put another one in its place. */
export interface EpochTask {
  readonly task: "follow" | "replace";
  readonly epoch: Epoch;
  /** Which of two blocks is linked, and the blocks, a word each. */
  readonly words: Int32Array;
  readonly times: number;
}

const LINK = 0;
const BLOCKS = 1;

export default worker((args: EpochTask): number => {
  const { words, times } = args;
  for (let turn = 0; turn < times; turn++) {
    switch (args.task) {
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
  return 0;
});
