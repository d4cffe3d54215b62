/**
 * Runs scenes in a guest that counts, and prints what each section's operations were: one JSON line a section.
 *
 * bench/lines/guest.ts [--everywhere] [WORDS]...     the sections with one of these words in their names, or all
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, Policy } from "../../mod.ts";
import { range, section } from "./marks.ts";
import { type Scene, scenes, type Variant } from "./scenes.ts";
import { AT, type LinesTask } from "./works.ts";

/** What is printed of a section. */
export interface SectionLine {
  readonly scene: string;
  readonly operation: string;
  readonly variant: string;
  /** Whether it is numakit's way, and not what a user would write instead. */
  readonly ours: boolean;
  readonly section: string;
  readonly operations: number;
}

const module = new URL("./works.ts", import.meta.url);

function sectionOf(scene: Scene, variant: Variant): string {
  return `${scene.name}: ${variant.name}`;
}

async function until(control: Int32Array, at: number, count: number): Promise<void> {
  while (Atomics.load(control, at) < count) await sleep(20);
}

async function countVariant(scene: Scene, variant: Variant): Promise<void> {
  const { threads, ranges, operations, end } = variant.make();
  const name = sectionOf(scene, variant);
  const control = new Int32Array(new SharedArrayBuffer(AT.words * 4));
  const running = threads.map(({ node, work }) =>
    launch(module, {
      policy: Policy.bindNode(node),
      args: { work, control, section: name } satisfies LinesTask,
    })
  );
  const failed = Promise.all(running.map((thread) => thread.join()));
  failed.catch(() => undefined);
  const reaches = (at: number) =>
    Promise.race([
      until(control, at, threads.length),
      failed.then(() => until(control, at, threads.length)),
    ]);
  await reaches(AT.arrived);
  for (const [of, bytes] of Object.entries(ranges)) range(`${name}: ${of}`, bytes);
  await section(name, async () => {
    Atomics.store(control, AT.go, 1);
    Atomics.notify(control, AT.go);
    await reaches(AT.done);
  });
  await failed;
  end();
  const line: SectionLine = {
    ...{ scene: scene.name, operation: scene.operation },
    ...{ variant: variant.name, ours: variant.ours, section: name, operations },
  };
  console.log(JSON.stringify(line));
}

const words = process.argv.slice(2);
const everywhere = words[0] === "--everywhere";
const wanted = everywhere ? words.slice(1) : words;
for (const scene of scenes()) {
  if (everywhere && scene.everywhere !== true) continue;
  for (const variant of scene.variants) {
    const name = sectionOf(scene, variant);
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
    await countVariant(scene, variant);
  }
}
