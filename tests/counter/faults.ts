/** A fault of the counter that its tests have to find. */
export interface SeededFault {
  readonly name: string;
  readonly file: "caches.c" | "counts.c" | "counter.c";
  readonly find: string;
  readonly replace: string;
  /** Whether only accesses in a guest show it. Default: the unit tests do. */
  readonly inGuest?: boolean;
}

export const FAULTS: readonly SeededFault[] = [
  {
    name: "the owner of a modified line is forgotten",
    file: "caches.c",
    find: "next = mine | held_by(1 + place->core);",
    replace: "next = mine;",
  },
  {
    name: "an upgrade counts as a hit",
    file: "caches.c",
    find: "outcome.upgrade = outcome.source == NK_OWN && outcome.invalidations > 0;",
    replace: "outcome.upgrade = false;",
  },
  {
    name: "a store leaves the line with others",
    file: "caches.c",
    find: "next = mine | held_by(1 + place->core);",
    replace: "next = entry | mine | held_by(1 + place->core);",
  },
  {
    name: "a load leaves the line modified",
    file: "caches.c",
    find: "    next &= ~HOLDER;\n",
    replace: "",
  },
  {
    name: "what a core of the domain reads is written back",
    file: "caches.c",
    find: "    if (holding_domain(caches, holder) == place->domain)\n",
    replace: "    if (false)\n",
  },
  {
    name: "what another domain reads stays modified in its L3",
    file: "caches.c",
    find: "    if (holding_domain(caches, holder) == place->domain)\n",
    replace: "",
  },
  {
    name: "what a core of the domain reads takes no place in the L3",
    file: "caches.c",
    find: "            fill_l3(caches, place->domain, line);\n",
    replace: "            ;\n",
  },
  {
    name: "near and far memory are confused",
    file: "caches.c",
    find: "return home == place->node ? NK_MEMORY : NK_FAR_MEMORY;",
    replace: "return home != place->node ? NK_MEMORY : NK_FAR_MEMORY;",
  },
  {
    name: "a cache of another domain counts as far",
    file: "caches.c",
    find: "return caches->domain_nodes[domain] == place->node ? NK_NODE : NK_FAR_CACHE;",
    replace: "return NK_FAR_CACHE;",
  },
  {
    name: "a clean line of the own domain comes from memory",
    file: "caches.c",
    find: "(entry & core_bit(core)) != 0 && caches->core_places[core].domain == place->domain)",
    replace: "(entry & core_bit(core)) != 0 && core == place->core)",
  },
  {
    name: "what a private cache lets go is nowhere",
    file: "caches.c",
    find: "HOLDING_DOMAIN + place->domain,\n                         domain_bit(place->domain)))",
    replace: "0, 0))",
  },
  {
    name: "what was modified and had to go is in memory at once",
    file: "caches.c",
    find: "1 + place->core, HOLDING_DOMAIN + place->domain,",
    replace: "1 + place->core, 0,",
  },
  {
    name: "an L3 never lets anything go",
    file: "caches.c",
    find: "            drop(caches, old - 1, domain_bit(domain), HOLDING_DOMAIN + domain, 0, 0);",
    replace: "            ;",
  },
  {
    name: "the line that was used last goes first",
    file: "caches.c",
    find: "if (is_free || age >= oldest) {",
    replace: "if (is_free || age <= oldest) {",
  },
  {
    name: "a hit does not count as a use",
    file: "caches.c",
    find: "    stamp(cache, at);\n    return old;",
    replace: "    if (!found)\n        stamp(cache, at);\n    return old;",
  },
  {
    name: "a store does not count other domains' L3s",
    file: "caches.c",
    find: "if (domain == place->domain || (entry & domain_bit(domain)) == 0)",
    replace: "if (true)",
  },
  {
    name: "all invalidations count as far",
    file: "caches.c",
    find: "outcome->far_invalidations += caches->core_places[core].node != place->node;",
    replace: "outcome->far_invalidations++;",
  },
  {
    name: "epochs that come back are not cleared",
    file: "caches.c",
    find: "    memset((void *)caches->directory, 0, caches->lines * sizeof *caches->directory);\n",
    replace: "",
  },
  {
    name: "a reset empties nothing",
    file: "caches.c",
    find: "if (++caches->epoch < EPOCHS)",
    replace: "if (caches->epoch < EPOCHS)",
  },
  {
    name: "an entry is changed without a look at what others did meanwhile",
    file: "caches.c",
    find:
      "if (next != entry && !atomic_compare_exchange_weak(&caches->directory[line], &seen, next | epoch_bits(caches)))",
    replace:
      "int sched_yield(void); sched_yield(); if (atomic_store(&caches->directory[line], next | epoch_bits(caches)), 0)",
  },
  {
    name: "a line that is gone keeps its place",
    file: "caches.c",
    find:
      "is_free = tag == 0 || (current(caches, atomic_load(&caches->directory[tag - 1])) & bit) == 0;",
    replace: "is_free = tag == 0;",
  },
  {
    name: "what goes to the L3 again is as old as before",
    file: "caches.c",
    find: "    stamp(cache, at);\n    unlock_set",
    replace: "    if (!found)\n        stamp(cache, at);\n    unlock_set",
  },
  {
    name: "sets and ways are confused",
    file: "caches.c",
    find: "(size_t)(line % cache->size.sets) * cache->size.ways;",
    replace: "(size_t)(line % cache->size.ways) * cache->size.sets;",
  },
  {
    name: "sets overlap",
    file: "caches.c",
    find: "(size_t)(line % cache->size.sets) * cache->size.ways;",
    replace: "(size_t)(line % cache->size.sets);",
  },
  {
    name: "a store counts the L3 of its own domain",
    file: "caches.c",
    find: "if (domain == place->domain || (entry & domain_bit(domain)) == 0)",
    replace: "if ((entry & domain_bit(domain)) == 0)",
  },
  {
    name: "a store leaves the line in L3s",
    file: "caches.c",
    find: "next = mine | held_by(1 + place->core);",
    replace:
      "next = (entry & (UINT64_C(0xffff) << DOMAIN_SHIFT)) | mine | held_by(1 + place->core);",
  },
  {
    name: "loads and stores are confused",
    file: "counts.c",
    find: "counts->loads += !store;",
    replace: "counts->loads += store;",
  },
  {
    name: "an upgrade within a node counts as far",
    file: "counts.c",
    find: "outcome->upgrade && outcome->far_invalidations > 0;",
    replace: "outcome->upgrade;",
  },
  {
    name: "a section of the same name begins anew",
    file: "counts.c",
    find: "section = &book->sections[index];\n    if",
    replace: "section = NULL;\n    if",
  },
  {
    name: "an end closes all sections",
    file: "counts.c",
    find: "    book->depth--;\n",
    replace: "    book->depth = 0;\n",
  },
  {
    name: "a line that changes its range is counted in both",
    file: "counts.c",
    find: "    book->range_lines[before]--;\n",
    replace: "",
  },
  {
    name: "a store that fetches its line counts as a far upgrade",
    file: "counts.c",
    find: "outcome->upgrade && outcome->far_invalidations > 0;",
    replace: "outcome->far_invalidations > 0;",
  },
  {
    name: "sections whose names begin alike are one",
    file: "counts.c",
    find: "strncmp(book->sections[index].name, name, NK_NAME_BYTES - 1)",
    replace: "strncmp(book->sections[index].name, name, strlen(name))",
  },
  {
    name: "ranges whose names begin alike are one",
    file: "counts.c",
    find: "strncmp(book->ranges[range], name, NK_NAME_BYTES - 1)",
    replace: "strncmp(book->ranges[range], name, strlen(name))",
  },
  {
    name: "a range that is named again keeps its lines",
    file: "counts.c",
    find: "            forget(book, range);\n",
    replace: "",
  },
  {
    name: "a range that is named again takes those of others away",
    file: "counts.c",
    find: "memory_order_relaxed) == range)",
    replace: "memory_order_relaxed) != 0)",
  },
  {
    name: "an L3 of the same node counts as far",
    file: "caches.c",
    find: "outcome->far_invalidations += caches->domain_nodes[domain] != place->node;",
    replace: "outcome->far_invalidations++;",
  },
  {
    name: "what the L3 and a core have comes from the core",
    file: "caches.c",
    find: "    if ((entry & domain_bit(place->domain)) != 0)\n        return NK_L3;",
    replace:
      "    if ((entry & domain_bit(place->domain)) != 0 && (entry & UINT32_MAX) == 0)\n        return NK_L3;",
  },
  {
    name: "a free place is forgotten for one that comes after it",
    file: "caches.c",
    find: "        if (is_free)\n            continue;\n",
    replace: "",
  },
  {
    name: "a line after a free place is not found",
    file: "caches.c",
    find: "        if (is_free)\n            continue;\n",
    replace: "        if (is_free)\n            break;\n",
  },
  {
    name: "a hit in the L3 counts as a use",
    file: "caches.c",
    find: "if ((next & ~entry & domain_bit(place->domain)) != 0)",
    replace: "if (outcome.source == NK_L3 || (next & ~entry & domain_bit(place->domain)) != 0)",
  },
  {
    name: "a backslash is written as it is",
    file: "counts.c",
    find: "letter == '\"' || letter == '\\\\'",
    replace: "letter == '\"'",
  },
  {
    name: "the first page of each node is left out",
    file: "counter.c",
    find: "page = node_starts[node] >> PAGE_SHIFT;",
    replace: "page = (node_starts[node] >> PAGE_SHIFT) + 1;",
  },
  {
    name: "a page's lines are the next node's",
    file: "counter.c",
    find: "page_far[page * nodes + places[cpu].node]",
    replace: "page_far[page * nodes + (places[cpu].node + 1) % nodes]",
  },
  {
    name: "a note that was cut spoils the next name",
    file: "counter.c",
    find: "    message_bytes = 0;\n    is_cut = false;\n",
    replace: "    message_bytes = 0;\n",
  },
  {
    name: "a program ends the section of its command",
    file: "counts.c",
    find: "book->depth == 0 || book->open[book->depth - 1]->whole",
    replace: "book->depth == 0",
  },
  {
    name: "a command's section is the one that it calls so",
    file: "counts.c",
    find: "book->sections[index].whole == whole &&",
    replace: "",
  },
  {
    name: "what is open goes unsaid",
    file: "counts.c",
    find: "    book->left_open = kept;\n",
    replace: "",
  },
  {
    name: "a line that is named twice is two",
    file: "counts.c",
    find: "memory_order_relaxed) != range;",
    replace: "memory_order_relaxed) != UINT_FAST8_MAX;",
  },
  {
    name: "what is open when QEMU ends is lost",
    file: "counter.c",
    find: "        nk_book_end_all(&book, true);\n        write_counts();\n",
    replace: "        nk_book_end_all(&book, true);\n",
  },
  {
    name: "a note is cut within a letter",
    file: "counter.c",
    find: "    if (!goes_on(byte))\n        return;\n",
    replace: "    if (goes_on(byte))\n        return;\n",
  },
  {
    name: "nodes begin one too early",
    file: "counter.c",
    find: "*node = index;",
    replace: "*node = index == 0 ? 0 : index - 1;",
    inGuest: true,
  },
  {
    name: "the second node's lines are those of the first",
    file: "counter.c",
    find: "return (at - start) >> NK_LINE_SHIFT;",
    replace: "return (at - 2 * start) >> NK_LINE_SHIFT;",
    inGuest: true,
  },
  {
    name: "every access is a load",
    file: "counter.c",
    find: "bool store = qemu_plugin_mem_is_store(info);",
    replace: "bool store = false;",
    inGuest: true,
  },
  {
    name: "the kernel's accesses count",
    file: "counter.c",
    find: "if (now == NULL || address >= FIRST_KERNEL_ADDRESS || cpu >= cpus)",
    replace: "if (now == NULL || cpu >= cpus)",
    inGuest: true,
  },
  {
    name: "all CPUs are the first one",
    file: "counter.c",
    find: "nk_caches_access(&caches, &places[cpu], line, node, store);",
    replace: "nk_caches_access(&caches, &places[0], line, node, store);",
    inGuest: true,
  },
  {
    name: "an access to two lines counts once",
    file: "counter.c",
    find: "        count(cpu, now, line + 1, node, last, store);\n",
    replace: "        ;\n",
    inGuest: true,
  },
  {
    name: "pages that follow each other count as neighbours in memory",
    file: "counter.c",
    find: " && address >> PAGE_SHIFT == last >> PAGE_SHIFT)",
    replace: ")",
    inGuest: true,
  },
  {
    name: "an inner section finds the caches empty",
    file: "counter.c",
    find: "if (book.depth == 0)\n            nk_caches_reset",
    replace: "if (true)\n            nk_caches_reset",
    inGuest: true,
  },
];
