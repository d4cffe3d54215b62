import { Arena, NumaError, worker } from "../../mod.ts";

/** What a thread found under a name. */
export interface OpenedByName {
  readonly identity: number;
  readonly first: number | undefined;
  /** The code of the error of an allocation. */
  readonly busy: string | undefined;
  /** Whether it got the same object again. */
  readonly same: boolean;
}

export default worker(({ name }: { name: string }): OpenedByName => {
  const arena = Arena.open(name);
  const { identity } = arena.toHandle().data as { identity: number };
  let busy: string | undefined;
  try {
    arena.alloc(16);
  } catch (error) {
    busy = (error as NumaError).code;
  }
  return { identity, first: arena.bytes[0], busy, same: Arena.open(name) === arena };
});
