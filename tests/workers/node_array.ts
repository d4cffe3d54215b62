// What tests/memory/node_array_test.ts and tests/numa/any_placement_test.ts run in threads.
import { currentNode, worker } from "../../mod.ts";
import { NodeArray } from "../../lib/memory/spread/node_array.ts";

export interface Task {
  readonly array: NodeArray<"float64">;
  readonly handle: string;
}

/** What the thread did. */
export interface Report {
  /** Where it ran. */
  readonly node: number;
  /** The part nearest to it, which it has filled with that node's number. */
  readonly part: number;
  /** Whether the handle gave the very object of the arguments. */
  readonly same: boolean;
}

const body: (task: Task) => Report = ({ array, handle }) => {
  const node = currentNode();
  const { part, view } = array.local();
  view.fill(node);
  return { node, part, same: NodeArray.fromHandle(JSON.parse(handle)) === array };
};

export default worker(body);
