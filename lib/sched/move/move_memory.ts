import { migrate } from "../../memory/owned/binding.ts";
import { bytesOf, locate, type OwnedMemory, wholePages } from "../../memory/owned/owned.ts";

/** How far the moving of memory has come. */
export interface MigrateProgress {
  /** Bytes that have been looked at, and moved where they were elsewhere. */
  readonly doneBytes: number;
  /** All bytes of whole pages. */
  readonly totalBytes: number;
}

/** What became of memory that was moved. */
export interface MovedMemory {
  /** Bytes of whole pages. */
  readonly bytes: number;
  /** Pages that were on another node, and have been moved. */
  readonly movedPages: number;
  /** Pages that were never touched: they come to be where that happens. */
  readonly absentPages: number;
}

/** Lets other work of this thread in, such as a signal that aborts. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/**
 * The pages of memory, in steps, before anything of it is moved.
 *
 * @param memory The memory.
 * @param action What was asked, as it follows "Cannot".
 * @returns Each part, whole pages all of them.
 * @throws {NumaError} `EINVAL` no memory, or no whole page in it.
 */
export function stepsOf(memory: readonly OwnedMemory[], action: string): Uint8Array[] {
  return memory.flatMap((one) => wholePages(bytesOf(one, action), action).steps) as Uint8Array[];
}

/**
 * Moves memory to a node, step by step, with turns of the event loop between the steps.
 *
 * @param steps What {@linkcode stepsOf} gave.
 * @param node The node.
 * @param options The listener for its progress, and the signal that stops it.
 * @param action What was asked, as it follows "Cannot".
 * @returns What became of it.
 * @throws The signal's reason; what `migrate` throws. What has been moved by then stays where it is.
 */
export async function moveMemory(
  steps: readonly Uint8Array[],
  node: number,
  options: {
    readonly signal?: AbortSignal;
    readonly onProgress?: (progress: MigrateProgress) => void;
  },
  action: string,
): Promise<MovedMemory> {
  const { signal, onProgress } = options;
  const totalBytes = steps.reduce((sum, step) => sum + step.length, 0);
  let doneBytes = 0;
  let movedPages = 0;
  let absentPages = 0;
  for (const step of steps) {
    if (signal?.aborted === true) throw signal.reason;
    const before = locate(wholePages(step, action), action);
    const there = before.nodes.get(node) ?? 0;
    migrate(step, { node });
    absentPages += before.absent;
    movedPages += before.pageNodes.length - before.absent - there;
    doneBytes += step.length;
    onProgress?.({ doneBytes, totalBytes });
    await breathe();
  }
  return { bytes: totalBytes, movedPages, absentPages };
}
