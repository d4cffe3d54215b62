/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * numakit.h: the C helper of numakit.
 *
 * What JavaScript cannot do itself: ask hwloc for the machine, place memory, pin threads, and know for certain that
 * a thread is gone. Everything else lives in TypeScript.
 *
 * Conventions, the same for every function:
 * - The result is a count (or 1 for yes, 0 for no), or `-errno`. errno itself is never part of the contract.
 * - Sizes and offsets are bytes. Addresses leave through `uint64_t` out parameters and never come back: what comes
 *   back is an identity (of a mapping, of a thread) that is checked here.
 * - The caller owns every buffer. A pointer may be NULL only where it says so.
 * - No function calls back, keeps a pointer to a caller's buffer, or blocks for longer than its own work takes. Two
 *   exceptions: nk_futex_wait sleeps for as long as it was told to; nk_node_room, and what makes, commits, populates or
 *   moves pages on a node, waits for the steps of other threads where only they are in the way.
 * - All functions may be called from any thread at any time.
 *
 * Parameters are only int32_t, uint32_t, uint64_t and pointers; lib/runtime/symbols.ts says the same thing to the
 * runtimes, and tests/runtime/abi_test.ts compares the two.
 */
#ifndef NUMAKIT_H
#define NUMAKIT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NK_API __attribute__((visibility("default")))

/* Raised with every incompatible change of this file. */
#define NK_ABI_VERSION 6

/* Affinity and node masks: little-endian arrays of 64-bit words, bit i of word w is CPU (or node) 64 * w + i. */
#define NK_MAX_MASK_WORDS 1024

/* The ABI version this library was built with. */
NK_API int32_t nk_abi_version(void);

/* ---- topology.c: what the machine looks like ------------------------------------------------------------------ */

#define NK_SOURCE_LIVE 0      /* this machine; text is ignored */
#define NK_SOURCE_SYNTHETIC 1 /* text: an hwloc synthetic description, "pack:2 numa:2 core:8 pu:2" */
#define NK_SOURCE_XML 2       /* text: the path of an hwloc XML file */

/*
 * Describe a machine as JSON (UTF-8, not NUL-terminated), through hwloc.
 *
 * text is NUL-terminated, or NULL for NK_SOURCE_LIVE. Returns the bytes the description needs; what fits was written
 * to out (out may be NULL when capacity is 0), so a caller whose buffer was too small calls again with a larger one.
 * CPU lists are strings in the kernel's notation ("0-3,8"); indexes are those of the OS. Absent facts are absent
 * keys, never zeros.
 *
 *   { "hwloc": "2.9.0", "source": "live",
 *     "cpus": "0-7",                          every PU that exists
 *     "allowedCpus": "0-7", "allowedNodes": "0-1",   what the cgroup's cpuset leaves
 *     "packages": [ { "id": 0, "cpus": "0-3", "model": "AMD EPYC" } ],
 *     "dies":     [ { "id": 0, "package": 0, "cpus": "0-3" } ],
 *     "caches":   [ { "level": 3, "type": "unified", "bytes": 33554432, "line": 64, "cpus": "0-3" } ],
 *     "cores":    [ { "id": 0, "cpus": "0,4", "kind": 1 } ],
 *     "nodes":    [ { "id": 0, "cpus": "0-3", "bytes": 8589934592, "freeBytes": 4321, "availableBytes": 1234,
 *                     "subtype": "DRAM", "hugepages": [ { "bytes": 2097152, "total": 8, "free": 8 } ] } ],
 *     "distances": { "nodes": [0, 1], "values": [10, 21, 21, 10] },        row-major, absent when unknown
 *     "attributes": [ { "name": "Bandwidth", "node": 0, "initiator": "0-3", "value": 12000 } ],
 *     "devices":  [ { "address": "0000:00:03.0", "class": "network", "names": ["eth0"], "node": 0, "cpus": "0-3" } ] }
 *
 * Core and die ids repeat from package to package; what has no number of the OS has no "id". A node's CPUs are the
 * kernel's list on a live machine ("" for a node of memory only) and hwloc's locality otherwise, so that there HBM and
 * DRAM nodes share CPUs. Where hwloc's own variables (HWLOC_SYNTHETIC, HWLOC_XMLFILE, HWLOC_FSROOT) stand in for the
 * machine, the source says so and nothing live is mixed in.
 *
 * With NK_SOURCE_LIVE the nodes are the union of hwloc's and of /sys/devices/system/node/online (hwloc 2 leaves out
 * nodes without memory), and freeBytes, availableBytes (the lesser of what nk_node_available tells) and hugepages are
 * there. So are devices: the PCI functions of the classes network, nvme, storage, gpu and accelerator, at most 4,096,
 * with the names that the kernel has for them, perhaps none; without a node where the kernel knows none. Attributes are
 * hwloc's memory attributes other than capacity and locality (MiB/s and ns), from hwloc 2.3 on.
 *
 * -EINVAL unknown source, text missing or not a topology, or a synthetic machine that hwloc would take minutes for
 * (over 32,768 objects, or 2,048 below one); -ENOENT no such file, or what else stat says of it; -ENOMEM; -EOVERFLOW a
 * description over 2 GiB.
 */
NK_API int32_t nk_topology_export(int32_t source, const char *text, char *out, uint64_t capacity);

/* ---- system.c, room.c, cgroup.c, look.c: what the process may use right now ---------------------------------------------- */

/*
 * Memory of a node: out[0] total bytes, out[1] free bytes, out[2] bytes of clean page cache the kernel can take back.
 * Returns 3. -ENODEV no such node.
 */
NK_API int32_t nk_node_memory(int32_t node, uint64_t *out);

/*
 * A node's pool of hugepages of one size: out[0] pages in the pool, out[1] of them free. Returns 2.
 * -ENODEV no such node; -ENOENT the kernel has no hugepages of page_bytes.
 */
NK_API int32_t nk_node_hugepages(int32_t node, uint64_t page_bytes, uint64_t *out);

/*
 * What can be had of a node without calling the OOM killer (room.c says how it is reckoned): out[0] bytes of the node,
 * out[1] bytes beside a margin for the runtime that the tightest memory limit of the process's cgroups leaves (all ones
 * when there is no limit). Returns 2, or 1 when there is no limit. -ENODEV no such node.
 */
NK_API int32_t nk_node_available(int32_t node, uint64_t *out);

/*
 * Whether bytes more can be had of a node now, of which charged_bytes are new to the process and come with page tables
 * (those that only move to the node are not). Where only what other threads are populating or moving is in the way, it
 * waits until those steps are done, which may need less than they claimed. Returns 0, or -ENOMEM. -ENODEV no such node.
 */
NK_API int32_t nk_node_room(int32_t node, uint64_t bytes, uint64_t charged_bytes);

/*
 * The tightest CPU quota among the calling process's cgroup and its ancestors (v2 cpu.max, v1 cpu.cfs_*):
 * out[0] quota and out[1] period in microseconds. Returns 2, or 0 when there is no limit.
 * root is prefixed to every path read ("" for the real system; tests give a folder). -ENAMETOOLONG a root too long;
 * -EIO a limit without a usage file.
 */
NK_API int32_t nk_cpu_quota(const char *root, uint64_t *out);

/*
 * The least room left under a memory limit of the process's cgroup and its ancestors: out[0] bytes left,
 * out[1] the limit in bytes. Returns 2, or 0 when there is no limit. root as for nk_cpu_quota.
 */
NK_API int32_t nk_memory_limit(const char *root, uint64_t *out);

/*
 * What may change of the machine while the process runs, as lines of a name, a space and a value, to be compared with
 * an earlier look; a line whose file is not there is left out:
 *
 *   affinity 0-3        the CPUs that the process's first thread may run on
 *   memory 0-1          the nodes whose memory it may use
 *   cpus 0-7            the CPUs that are online
 *   nodes 0-1           the nodes that are
 *   cpuset 0-3          the CPUs of its cpuset
 *   quota 50000 100000  as nk_cpu_quota; no line without a limit
 *
 * Returns the bytes that it needs, not NUL-terminated; what fits was written (out may be NULL when capacity is 0). root as
 * for nk_cpu_quota. Costs the reading of about ten small files. -errno of reading them.
 */
NK_API int32_t nk_machine_look(const char *root, char *out, uint64_t capacity);

/* ---- record.c, thread.c, others.c, vitals.c: threads, pinning, policy -------------------------------------------- */

/*
 * Register the calling thread (idempotent): out[0] its identity (never reused in this process), out[1] its slot
 * (0 .. 65534, reused after the thread is gone), out[2] its OS thread id. Returns 3. -EAGAIN too many threads.
 * From then on the thread's end, however it comes, releases what it holds (nk_mapping_attach).
 */
NK_API int32_t nk_thread_self(uint64_t *out);

/* 1 while the thread of that identity lives, 0 once its code can no longer run. */
NK_API int32_t nk_thread_alive(uint64_t thread);

/*
 * What a thread has used of CPUs, in user and in kernel mode: out[0] nanoseconds. Returns 1; 0 for a thread that is gone,
 * with all that it used, as long as no other thread has its slot. -ESTALE one has it.
 */
NK_API int32_t nk_thread_cpu_time(uint64_t thread, uint64_t *out);

/* The niceness of a thread: out[0], from -20 to 19. Returns 1. -ESTALE it is gone. */
NK_API int32_t nk_thread_nice(uint64_t thread, int32_t *out);

/*
 * Make a thread more or less nice. Returns 0. -EINVAL not from -20 to 19; -EACCES less nice than it is, or than
 * RLIMIT_NICE permits, without CAP_SYS_NICE; -EPERM (seccomp); -ESTALE it is gone.
 */
NK_API int32_t nk_thread_renice(uint64_t thread, int32_t nice);

/* Name the calling thread, as tools show it: at most 15 bytes and a NUL. Returns 0. -EINVAL longer. */
NK_API int32_t nk_thread_rename(const char *name);

/* The calling thread's affinity: fills mask (words of 64 bits), returns the words that matter. -EINVAL too short. */
NK_API int32_t nk_affinity_get(uint64_t *mask, int32_t words);

/*
 * Pin the calling thread. Returns 0 with the affinity exactly as asked, or fails and leaves it as it was:
 * -EINVAL empty mask or words out of range, -ENXIO when the kernel would only take a part of the mask, -EPERM (seccomp).
 * how: with NK_PIN_PART a part of the mask will do: returns 1, and the thread runs on no CPU outside of the mask. With
 * NK_PIN_OWN these CPUs are taken down as numakit's doing, and without it as somebody else's.
 */
NK_API int32_t nk_affinity_set(const uint64_t *mask, int32_t words, int32_t how);

#define NK_PIN_PART 1
#define NK_PIN_OWN 2

/*
 * The CPUs that the calling thread got last with NK_PIN_OWN, by itself or by another thread: fills mask, returns the words
 * that matter; 0 for none. Where its affinity is another one by now, somebody else has set it. -EINVAL too short.
 */
NK_API int32_t nk_affinity_own(uint64_t *mask, int32_t words);

/*
 * Pin another thread of this process, or the calling one, by its identity; at once, whatever it is doing. As
 * nk_affinity_set, but before (NK_MAX_MASK_WORDS words) gets what it was, and the words of that which matter are
 * returned. -ESTALE the thread is gone: no other thread is ever touched. With NK_PIN_OWN, before comes with the CPUs where
 * the thread is at home: -EACCES when it has an affinity that somebody else has set and the mask goes beyond that.
 */
NK_API int32_t nk_thread_move(uint64_t thread, const uint64_t *mask, int32_t words, int32_t how, uint64_t *before);

#define NK_PLACED_WORDS 4 /* what nk_threads_place tells of a thread */

/*
 * Pin threads of this process that neither are registered (nk_thread_self) nor are its first one: those whose names begin
 * with one of the names, each of which ends with a NUL; an empty one ends the list. With grow not 0, only those are pinned
 * that run on a part of the mask. Returns how many there are, and tells of as many as out (NK_PLACED_WORDS times capacity
 * words) has room for: the OS thread id; 1 moved, 0 not, or -errno; the name, NUL-terminated, in two words. A thread that
 * may not run on all of the mask stays where it is (-ENXIO); one that ends meanwhile is told as -ESTALE. -EINVAL as
 * nk_affinity_set, -errno of reading /proc/self/task.
 */
NK_API int32_t nk_threads_place(const uint64_t *mask, int32_t words, const char *names, int32_t grow, uint64_t *out,
                                uint64_t capacity);

#define NK_POLICY_DEFAULT 0 /* first touch on the node the thread runs on */
#define NK_POLICY_PREFER 1  /* that node first, others when it is full */
#define NK_POLICY_BIND 2    /* that node only: the kernel kills when it is full */

/* The memory policy of the calling thread's future pages. Returns 0. -EINVAL, -EPERM (seccomp), -ENOSYS. */
NK_API int32_t nk_policy_set(int32_t policy, int32_t node);

#define NK_POLICY_WORDS 17 /* the kernel's mode, and its mask of nodes */

/*
 * The memory policy of the calling thread: out[0] the kernel's mode with its flags (NK_POLICY_* are modes), out[1] to
 * out[16] the mask of its nodes. Returns NK_POLICY_WORDS. -EPERM (seccomp), -ENOSYS.
 */
NK_API int32_t nk_policy_save(uint64_t *out);

/* Give the calling thread a policy that was saved. Returns 0. -EINVAL no node of it may be used; -EPERM, -ENOSYS. */
NK_API int32_t nk_policy_restore(const uint64_t *saved);

/* The CPU the calling thread runs on. */
NK_API int32_t nk_cpu_current(void);

/*
 * The calling thread's rseq area: out[0] its address. Returns the bytes of it that the kernel keeps up to date
 * (20: up to cpu_id; 24: node_id at offset 20; 28: mm_cid at 24). -ENOSYS no rseq registered by the C library.
 * The address is valid while the thread lives.
 */
NK_API int32_t nk_thread_rseq(uint64_t *out);

/* Let another thread run on this CPU, if one wants to. Returns 0. */
NK_API int32_t nk_thread_yield(void);

/* ---- mapping.c, table.c, mapping_shared.c, names_folder.c, quarantine.c: memory on a node ------------------------ */

/*
 * A mapping is a header page (an ordinary small page) and behind it, page-aligned, the data:
 *
 *   address            address + small page
 *   | header page      | committed data, whole pages of page_bytes | reserved data |
 *
 * Header and committed data are bound to one node. The rest is only reserved: a stray access there meets ordinary
 * memory that commit replaces, never a fault. Threads hold a mapping at most once each. When the last holder lets go its
 * pages go back to the system, and its addresses into quarantine: native code of the runtimes may still use them. There
 * they read zeros, take what is written, and are nobody else's until the quarantine is over its bounds
 * (nk_mapping_quarantine). They stay there forever when some holder could not vouch for its views (it ended without
 * nk_mapping_release, or said so).
 *
 * The first 64 bits of the header tell the thread that allocates from the mapping: its slot + 1 (0: nobody), or in a
 * mapping that other processes may have its OS thread id and the time it began.
 * The helper clears them when that thread lets go; it never trusts anything else in there.
 */

#define NK_PAGES_SMALL 0 /* the system's small pages, never merged into huge ones */
#define NK_PAGES_THP 1   /* transparent hugepages */
#define NK_PAGES_HUGE 2  /* hugetlb pages of page_bytes from the node's pool */

#define NK_LOCK 1    /* populated pages are locked: never swapped out */
#define NK_RESERVE 2 /* commit nothing yet */

#define NK_MAPPING_FACTS 11 /* what out has to have room for below */

/*
 * Reserve a mapping of data_bytes (a multiple of page_bytes), bind it to node and commit it, without NK_RESERVE all of
 * it; only the header page is resident afterwards. The calling thread holds it. page_bytes is the small page for
 * NK_PAGES_SMALL, the PMD size for NK_PAGES_THP, a hugetlb size for NK_PAGES_HUGE.
 *
 * out[0] identity (never reused), out[1] address, out[2] header bytes, out[3] data bytes, out[4] committed bytes,
 * out[5] node, out[6] kind, out[7] page bytes, out[8] NK_LOCK or 0, out[9] threads that hold it,
 * out[10] 1 for one that other processes may have, too. Returns NK_MAPPING_FACTS.
 * -EINVAL kind, flags, sizes; -ENODEV no such node or one without memory; -EACCES not in the cpuset; -EPERM mbind
 * forbidden (seccomp); -ENOLCK locking beyond RLIMIT_MEMLOCK; -ENOSYS no NUMA in the kernel; -ENOTSUP THP switched off;
 * -ENOMEM less room on the node or under the cgroup's limit than asked (nk_mapping_populate), or for NK_PAGES_HUGE fewer
 * free pages in the node's pool; -EUSERS the process may map no more: no address space, or as many mappings as leave a
 * margin below vm.max_map_count.
 */
NK_API int32_t nk_mapping_create(int32_t node, int32_t kind, int32_t flags, uint64_t page_bytes, uint64_t data_bytes,
                                 uint64_t *out);

/*
 * Make the first bytes of the data the committed ones (a multiple of the page size). What is new has to be populated;
 * what is committed no more goes back to the system. Returns 0. Errors as for nk_mapping_create, and -ESTALE not held
 * by this thread, -EBUSY while another thread does the same; the committed bytes are then as before.
 */
NK_API int32_t nk_mapping_commit(uint64_t mapping, uint64_t bytes);

/*
 * Make committed data bytes [offset, offset + bytes) resident, 64 MiB at a time. The node must have the room
 * (nk_node_available) for each of these steps, or it stops there: -ENOMEM. -EFAULT the kernel ran out of hugepages on
 * the way. -ENOLCK locking beyond RLIMIT_MEMLOCK. -ESTALE not held by this thread. -EINVAL range. -ENOSYS before Linux
 * 5.14. Callers populate large mappings in steps, so that no call runs long. Where room is short it waits for the steps
 * of other threads, which may need less than they claimed.
 */
NK_API int32_t nk_mapping_populate(uint64_t mapping, uint64_t offset, uint64_t bytes);

/*
 * Where data bytes [offset, offset + bytes) are, asked of the kernel (move_pages): counts[n] becomes the pages of
 * page_bytes (small pages for THP) on node n for n < nodes, counts[nodes] those not resident or elsewhere.
 * Returns the pages asked about: those that are committed, which other threads may change at any time. -ESTALE,
 * -EINVAL, -EPERM, -ENOSYS.
 */
NK_API int32_t nk_mapping_residency(uint64_t mapping, uint64_t offset, uint64_t bytes, int32_t *counts, int32_t nodes);

/* Data bytes that are in hugepages now: out[0]. Returns 1. With collapse = 1 the kernel is first asked to make them
 * so (MADV_COLLAPSE, Linux 6.1; older kernels just report). -ESTALE. */
NK_API int32_t nk_mapping_huge_bytes(uint64_t mapping, int32_t collapse, uint64_t *out);

/*
 * As nk_mapping_create, of memory that other processes can map: not NK_PAGES_THP, not NK_RESERVE (-ENOTSUP), and its
 * committed bytes stay what they are. Nobody finds it yet. name is NUL-terminated: 1 to 64 of A-Z a-z 0-9 . _ -
 * (-EINVAL).
 */
NK_API int32_t nk_mapping_share(const char *name, int32_t node, int32_t kind, int32_t flags, uint64_t page_bytes,
                                uint64_t data_bytes, uint64_t *out);

/*
 * Let the user's other processes find a mapping of nk_mapping_share by the name it was made with, until the last thread
 * of this process lets go of it or the process ends. Returns 0. -EEXIST the name is taken; -EINVAL not such a mapping,
 * or published before; -ESTALE; -EPERM the folder of names is not this user's own (nk_names_folder); -ENOENT there is
 * none and none can be made; -ENXIO no /proc.
 */
NK_API int32_t nk_mapping_publish(uint64_t mapping, const char *name);

/*
 * Map what another process of the user published, or hold what this one has of the same memory: then the identity is the
 * one that it has here already. The calling thread holds it. Sizes, seals, user and kind of pages are checked; where the
 * pages are is not, and they are not populated. out as for nk_mapping_create. Returns NK_MAPPING_FACTS.
 * -EINVAL name; -ENOENT nobody has it; -EREMOTE nobody here, but a process in another mount namespace; -EPROTO it was made
 * by another version of this file; -EBADMSG it is not what its maker said; -EACCES that process may not be looked at
 * (/proc/PID/fd); -EXDEV it is in another PID or time namespace; -ENXIO no /proc of this PID namespace; -EPERM the folder
 * of names is not this user's own; -EUCLEAN its entry there is not numakit's; -ENOMEM, -EMFILE, -ENFILE, -EUSERS.
 */
NK_API int32_t nk_mapping_open(const char *name, uint64_t *out);

/*
 * Of a mapping that other processes may have: take = 1: become the thread that allocates from it. Returns 0; or the OS
 * thread id of the one that is, in whatever process. take = 0: be it no more. -ESTALE; -EINVAL another mapping.
 */
NK_API int32_t nk_mapping_claim(uint64_t mapping, int32_t take);

/*
 * The folder in which this process takes names, as JSON, for messages: what fits is written to out.
 *
 *   { "path": "/run/numakit", "usable": true, "owner": 0, "mode": 448, "contained": false }
 *
 * owner and mode are those of the folder, 0 when there is none. contained: this process is not in the PID namespace that
 * the kernel started with. Returns the bytes it needs.
 */
NK_API int32_t nk_names_folder(char *out, uint64_t capacity);

/* Hold a mapping from this thread too. out as for nk_mapping_create. Returns NK_MAPPING_FACTS. -ESTALE gone or never was. */
NK_API int32_t nk_mapping_attach(uint64_t mapping, uint64_t *out);

#define NK_VIEWS_ASTRAY 0 /* somebody else carried a buffer of it away: the addresses must never be used again */
#define NK_VIEWS_DEAD 1   /* this thread's views are all dead; native code may still have their addresses */
#define NK_VIEWS_PINNED 2 /* a buffer cannot be detached while native code uses it: nk_mapping_unpin tells when it was */
#define NK_VIEWS_NEVER 3  /* this thread never showed a view to anybody */

/*
 * Let go; views says what became of this thread's. When no thread ever showed one, the addresses are free at once.
 * Returns the holders left. -ESTALE not held by this thread; -EINVAL views.
 */
NK_API int32_t nk_mapping_release(uint64_t mapping, int32_t views);

/*
 * The buffer of a release with NK_VIEWS_PINNED is detached by now. Until each of them is, the addresses of a mapping that is
 * gone count as kept forever; from then on they are in quarantine. Returns 0. -ESTALE there is none, or somebody else
 * carried a buffer away.
 */
NK_API int32_t nk_mapping_unpin(uint64_t mapping);

/* The identities of all live mappings, whoever holds them: as many as fit. Returns how many there are. */
NK_API int32_t nk_mapping_list(uint64_t *out, uint64_t capacity);

/* out[0] live mappings, out[1] their bytes, out[2] ranges whose addresses are kept forever, out[3] their bytes.
 * Returns 4. */
NK_API int32_t nk_mapping_stats(uint64_t *out);

/*
 * Addresses of mappings that are gone, without pages: out[0] bytes in quarantine, those kept forever aside, out[1] beyond
 * which the oldest are given back, out[2] runs of neighboring addresses, those kept forever included, out[3] beyond which
 * the same happens. Returns 4.
 */
NK_API int32_t nk_mapping_quarantine(uint64_t *out);

/* ---- futex.c: sleeping on words that processes share ------------------------------------------------------------- */

#define NK_MAX_WAIT_MS 50 /* how long a thread may be out of reach of its runtime, in milliseconds */

/*
 * Sleep while the 32-bit word at an offset (a multiple of 4) of a mapping's committed data is expected, for at most
 * timeout_ms (0 .. NK_MAX_WAIT_MS). Returns 0 when woken, which may be for no reason. -EAGAIN the word is something
 * else; -ETIMEDOUT; -ESTALE not held by this thread; -EINVAL offset, time.
 */
NK_API int32_t nk_futex_wait(uint64_t mapping, uint64_t offset, int32_t expected, int32_t timeout_ms);

/* Wake up to count threads, of all processes, that sleep on a word. Returns how many. -ESTALE; -EINVAL. */
NK_API int32_t nk_futex_wake(uint64_t mapping, uint64_t offset, int32_t count);

/* ---- robust.c: locks that the kernel marks when their owner dies -------------------------------------------------- */

/*
 * A lock is NK_ROBUST_BYTES of a mapping's committed data, at a multiple of that, zero at first. Its first 32-bit word
 * is in the kernel's format. Callers may read it, and change it where it says so:
 *
 *   0 .. 29   OS thread id of the owner; 0 nobody; all ones "poisoned": nobody can take it
 *   30        an owner died, and nobody has said since that what the lock guards is right again: by clearing the bit as
 *             the owner, or by storing 0 in a poisoned word
 *   31        somebody may sleep on the word (nk_futex_wait): to be set by who is about to, while it has an owner
 *
 * When a thread ends that holds it, by whatever way (SIGKILL to its process included), or lets go of the mapping, the
 * word becomes bit 30, keeps bit 31, and one sleeper is woken. The other bytes are the helper's. Writing anything else
 * into any of them breaks the lock, and nothing but the lock.
 *
 * The first call of nk_robust_open in a thread registers a list of its own with the kernel, in place of the C
 * library's, which comes back when the thread ends. Until then robust (with musl also process-shared) pthread mutexes
 * of that thread go unmarked; JavaScript engines have none. A child that is forked and does not exec must not use these
 * functions when its parent has.
 */
#define NK_ROBUST_BYTES 16
#define NK_MAX_ROBUST_HELD 31 /* locks that a thread can hold */

/*
 * The calling thread's number for a lock: from 0 on, the same for each call, and never given again once the thread has
 * let go of the mapping. It is what taking and giving back want, because some runtimes are slow with 64-bit arguments.
 * -EXDEV the lock belongs to another PID namespace, where thread ids mean something else; -ENOLCK too many of them
 * (32,768); -ENOSYS, -EPERM no robust lists in this kernel or sandbox; -ESTALE not held by this thread; -EINVAL offset;
 * -ENOMEM.
 */
NK_API int32_t nk_robust_open(uint64_t mapping, uint64_t offset);

/*
 * Take a lock if it is free; waited = 1 sets bit 31, because others may sleep on it, too: for those who have slept.
 * Returns 1 taken; 2 taken, with bit 30; 0 another thread has it. -EDEADLK this thread has it; -ENOTRECOVERABLE
 * poisoned; -ENOLCK this thread holds NK_MAX_ROBUST_HELD; -ESTALE not a number of this thread; -EINVAL waited.
 */
NK_API int32_t nk_robust_acquire(int32_t lock, int32_t waited);

/*
 * Give a lock back, and wake one sleeper. Returns 0; or 1 when bit 30 was still set: the lock is poisoned now, and all
 * sleepers are awake. -EPERM this thread does not hold it, or somebody wrote over the word: it does not any more then;
 * -ESTALE not a number of this thread.
 */
NK_API int32_t nk_robust_release(int32_t lock);

/* ---- buffer.c: memory that the runtime owns ----------------------------------------------------------------------- */

/*
 * These see a buffer of the caller's, whose memory is the runtime's own. Placement works on whole small pages, so they
 * work on the whole pages inside and leave the edges alone. -ENODATA: there is no whole page inside.
 */

/* out[0] offset of the first whole page, out[1] bytes of whole pages, out[2] bytes a page. Returns 3. -ENODATA. */
NK_API int32_t nk_buffer_pages(const void *buffer, uint64_t bytes, uint64_t *out);

/* Ask for transparent hugepages in a buffer. Returns 0. -ENOTSUP a kernel without them, or switched off; -ENODATA. */
NK_API int32_t nk_buffer_advise_huge(const void *buffer, uint64_t bytes);

/*
 * Make a buffer's transparent hugepages small, and keep them so: a hugepage is on one node as a whole. Best effort: the
 * kernel leaves a hugepage whole that is in use just then. Returns 0. -ENODATA.
 */
NK_API int32_t nk_buffer_split(const void *buffer, uint64_t bytes);

/*
 * Make a buffer's pages resident, by its policy, which is to bind to the nodes of a mask or to interleave over them. The
 * nodes must have the room as for nk_mapping_populate: -ENOMEM. Returns 0. -EINVAL empty mask; -ENODEV, -ENOSYS,
 * -ENODATA.
 */
NK_API int32_t nk_buffer_populate(const void *buffer, uint64_t bytes, const uint64_t *nodes, int32_t words);

/*
 * Move a buffer's resident pages: page i to nodes[(first + i) % count]. The kernel leaves a page where it is that is in
 * use just then. Returns how many are on another node afterwards; absent[0] those not resident. -ENOTSUP memory of a
 * live mapping, and another node than its own; -EINVAL count; -ENODEV no such node; -ENOMEM a node has no room for what
 * is to come to it, and what was moved before stays moved; -EACCES, -EPERM, -ENOSYS, -ENODATA.
 */
NK_API int32_t nk_buffer_move(const void *buffer, uint64_t bytes, const int32_t *nodes, int32_t count, uint64_t first,
                              int32_t *absent);

/*
 * Where a buffer's whole pages are, asked of the kernel: nodes[i] becomes the node of page i, or -1 when it is not
 * resident. Returns the pages asked about. -EINVAL more pages than capacity; -ENODATA.
 */
NK_API int32_t nk_buffer_locate(const void *buffer, uint64_t bytes, int32_t *nodes, uint64_t capacity);

/* ---- binding.c: policies on memory that the runtime owns ---------------------------------------------------------- */

#define NK_POLICY_INTERLEAVE 3 /* page by page over the nodes of the mask */

/*
 * Set the policy of a buffer's whole pages: NK_POLICY_BIND or NK_POLICY_INTERLEAVE, with a mask of nodes. Pages that are
 * there stay where they are. Bindings may overlap, from any thread: the newest one of a page stands. out[0] its identity
 * (never reused, below 2^53). Returns 1; or fails and leaves every policy as it was: -EINVAL policy, empty mask; -ENODEV
 * a node that the kernel does not know; -EACCES not in the cpuset; -ENOTSUP memory of a mapping, or what is left of one
 * that is gone; -ENOMEM; -EPERM, -ENOSYS, -ENODATA.
 */
NK_API int32_t nk_binding_make(const void *buffer, uint64_t bytes, int32_t policy, const uint64_t *nodes, int32_t words,
                               uint64_t *out);

/*
 * Undo a binding, of whichever thread. Where it stands, the newest of those below it does from now on, or the policy that
 * was there before all of them. Memory that is not what was bound any more (the kernel tells by its policy) stays as it is.
 * Returns 0, also for one that was undone before. Errors of mbind: what was not undone can be tried again.
 */
NK_API int32_t nk_binding_undo(uint64_t binding);

/*
 * Say that nobody will undo a binding: its policy stays, and what is below it will never stand again. Returns 0.
 */
NK_API int32_t nk_binding_abandon(uint64_t binding);

/* out[0] bindings that somebody may undo, out[1] ranges of addresses that are remembered for them. Returns 2. */
NK_API int32_t nk_binding_stats(uint64_t *out);

#ifdef __cplusplus
}
#endif

#endif
