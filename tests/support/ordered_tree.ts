/** The tree of an ordered map, as its words have it. */
import {
  COUNT,
  ENTRIES,
  FRESH,
  HEIGHT,
  leastOf,
  nodesAt,
  type OrderedLayout,
  PUT,
  RECORD_WORDS,
  RECORDS,
  ringAt,
  ROOT,
  SIZE,
  TAKEN,
  VERSION,
} from "../../lib/structs/ordered/ordered_table.ts";

/** What is in a tree. */
export interface TreeSeen {
  /** The first words of all keys, in order. */
  readonly keys: readonly number[];
  /** The nodes that it has. */
  readonly nodes: readonly number[];
  /** What is wrong with it. */
  readonly faults: readonly string[];
}

interface Place {
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Whether it is the last node of its level. */
  readonly isLast: boolean;
}

function compare(one: readonly number[], other: readonly number[]): number {
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    if (one[at] !== other[at]) return (one[at] as number) - (other[at] as number);
  }
  return 0;
}

/**
 * Looks at the tree of the present version.
 *
 * @param words The words of a map that nobody writes to.
 * @param layout Its layout.
 * @returns What is in it.
 */
export function treeOf(words: Int32Array, layout: OrderedLayout): TreeSeen {
  const { keyWords, valueWords, leafEntries, innerEntries } = layout;
  const record = RECORDS + ((words[VERSION] as number) & (layout.records - 1)) * RECORD_WORDS;
  const [root, height, size] = [ROOT, HEIGHT, SIZE].map((word) => words[record + word]) as [
    number,
    number,
    number,
  ];
  const faults: string[] = [];
  const keys: number[] = [];
  const nodes: number[] = [];
  let before: readonly number[] = [];
  const walk = (node: number, level: number, { low, high, isLast }: Place): void => {
    if (!(node > 0 && node < layout.nodes) || nodes.includes(node)) {
      faults.push(`node ${node} is there twice, or cannot be`);
      return;
    }
    nodes.push(node);
    const at = nodesAt(layout.records, layout.ring) + node * layout.nodeWords;
    const count = words[at + COUNT] as number;
    const most = level > 0 ? innerEntries : leafEntries;
    const least = level === height - 1 ? Math.min(2, level + 1) : isLast ? 1 : leastOf(most);
    if (count < least || count > most) faults.push(`node ${node} has ${count} entries`);
    const entry = keyWords + (level > 0 ? 1 : valueWords);
    const keyAt = (slot: number): readonly number[] => {
      const from = at + ENTRIES + slot * entry;
      return [...words.slice(from, from + keyWords)];
    };
    for (let slot = 0; slot < Math.min(count, most); slot++) {
      const key = keyAt(slot);
      if (level > 0) {
        walk(words[at + ENTRIES + slot * entry + keyWords] as number, level - 1, {
          low: slot > 0 ? key : low,
          high: slot < count - 1 ? keyAt(slot + 1) : high,
          isLast: isLast && slot === count - 1,
        });
        continue;
      }
      if (compare(key, low) < 0 || (high.length > 0 && compare(key, high) >= 0)) {
        faults.push(`key ${key} is in node ${node}, from ${low} to ${high}`);
      }
      if (keys.length > 0 && compare(before, key) >= 0) faults.push(`${key} after ${before}`);
      before = key;
      keys.push(key[0] as number);
    }
  };
  if (height > 0) walk(root, height - 1, { low: [], high: [], isLast: true });
  const free: number[] = [];
  const put = words[record + PUT] as number;
  for (let index = words[record + TAKEN] as number; index !== put; index = (index + 1) | 0) {
    free.push(words[ringAt(layout.records) + (index & (layout.ring - 1))] as number);
    if (free.length > layout.nodes) break;
  }
  const all = new Set([...nodes, ...free]).size;
  if (all !== nodes.length + free.length) faults.push("a node is in use and free");
  if (all !== words[record + FRESH]) {
    faults.push(`${words[record + FRESH]} nodes, and ${all} found`);
  }
  if (size !== keys.length) faults.push(`the size is ${size}, and ${keys.length} are there`);
  return { keys, nodes, faults };
}
