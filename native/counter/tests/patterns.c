/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses whose lines are known, for the tests of the counter: two nodes with two CPUs each, of one L3 domain a CPU.
 *
 * Everything is pinned, placed by mbind and marked. Threads take turns by a word of their own, so that the lines that are
 * looked at are touched by nobody who waits.
 */
#include "../mark.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINE 64
#define MIB ((size_t)1 << 20)
#define PAGE 4096
#define LINES 16384 /* 1 MiB, less than a private cache */
#define ROUNDS 1000
#define CPUS 4
#define MPOL_BIND 2

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("sched_setaffinity");
}

/* Memory on a node, all of it there. */
static volatile uint8_t *memory_on(unsigned long node, size_t bytes)
{
    unsigned long mask = 1ul << node;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        fail("mmap");
    if (syscall(SYS_mbind, memory, bytes, MPOL_BIND, &mask, 8 * sizeof mask, 0) != 0)
        fail("mbind");
    memset(memory, 1, bytes);
    return memory;
}

static void read_lines(const volatile uint8_t *memory, size_t lines)
{
    for (size_t line = 0; line < lines; line++)
        (void)memory[line * LINE];
}

static void marked_read(const char *name, const volatile uint8_t *memory, size_t lines, int times)
{
    nk_mark_begin(name);
    for (int time = 0; time < times; time++)
        read_lines(memory, lines);
    nk_mark_end();
}

/* Eight bytes, wherever they begin. */
typedef uint64_t __attribute__((aligned(1), may_alias)) any_word;

/* A load of eight bytes in each page. */
static void marked_words(const char *name, const volatile uint8_t *memory, size_t pages, size_t offset)
{
    nk_mark_begin(name);
    for (size_t page = 0; page < pages; page++)
        (void)*(const volatile any_word *)(memory + page * PAGE + offset);
    nk_mark_end();
}

/* The inner section finds what the outer one has fetched, and the outer one goes on after it. */
static void nested_reads(const volatile uint8_t *memory)
{
    nk_mark_begin("outer");
    read_lines(memory, LINES);
    marked_read("inner", memory, LINES, 1);
    read_lines(memory, ROUNDS);
    nk_mark_end();
}

static struct {
    _Alignas(LINE) _Atomic int turn;
} turns[2];
#define LINE_WORDS (LINE / (int)sizeof(int))
static volatile _Atomic int *words; /* two lines on node 0 */

static void wait_for(int round, int who)
{
    while (atomic_load(&turns[who].turn) != round)
        sched_yield();
}

/* One of two that act by turns. */
struct player {
    int cpu, who;
    void (*act)(int who);
};

static void *play(void *data)
{
    const struct player *player = data;

    pin(player->cpu);
    for (int round = 1; round <= ROUNDS; round++) {
        wait_for(round, player->who);
        player->act(player->who);
        if (player->who == 0)
            atomic_store(&turns[1].turn, round);
        else
            atomic_store(&turns[0].turn, round + 1);
    }
    return NULL;
}

static void marked_play(const char *name, int first, int second, void (*act)(int who))
{
    struct player players[2] = {{first, 0, act}, {second, 1, act}};
    pthread_t threads[2];

    atomic_store(&turns[0].turn, 0);
    atomic_store(&turns[1].turn, 0);
    for (int who = 0; who < 2; who++)
        if (pthread_create(&threads[who], NULL, play, &players[who]) != 0)
            fail("pthread_create");
    nk_mark_begin(name);
    atomic_store(&turns[0].turn, 1);
    for (int who = 0; who < 2; who++)
        pthread_join(threads[who], NULL);
    nk_mark_end();
}

static void load_and_store(int who)
{
    (void)who;
    int value = atomic_load_explicit(&words[0], memory_order_relaxed);

    atomic_store_explicit(&words[0], value + 1, memory_order_relaxed);
}

static void exchange(int who)
{
    int value = 0;

    (void)who;
    atomic_compare_exchange_strong(&words[0], &value, 0);
}

/* A word each, in one line or in two. */
static void store_in_one_line(int who)
{
    atomic_store_explicit(&words[who], 1, memory_order_relaxed);
}

static void store_in_own_line(int who)
{
    atomic_store_explicit(&words[who * LINE_WORDS], 1, memory_order_relaxed);
}

/* All CPUs read each line, one after the other, and then one writes them. */
static void shared_by_all(volatile uint8_t *memory)
{
    nk_mark_begin("shared by all");
    for (int cpu = 0; cpu < CPUS; cpu++) {
        pin(cpu);
        read_lines(memory, ROUNDS);
    }
    for (size_t line = 0; line < ROUNDS; line++)
        memory[line * LINE] = 2;
    nk_mark_end();
}

/* The kernel reads the one by addresses of its own, and writes the other by the program's. */
static void copied_by_kernel(volatile uint8_t *to, volatile uint8_t *from)
{
    struct iovec written = {(void *)to, MIB}, read = {(void *)from, MIB};

    nk_mark_begin("copied by the kernel");
    ssize_t copied = process_vm_readv(getpid(), &written, 1, &read, 1, 0);
    nk_mark_end();
    if (copied != (ssize_t)MIB)
        fail("process_vm_readv");
}

int main(void)
{
    pin(0);
    volatile uint8_t *near = memory_on(0, MIB), *far = memory_on(1, MIB), *large = memory_on(0, 96 * MIB),
                     *far_large = memory_on(1, 96 * MIB), *page = memory_on(0, PAGE);

    words = (volatile _Atomic int *)memory_on(0, 2 * LINE);
    memset((void *)words, 0, 2 * LINE);
    nk_mark_range("near", near, MIB);
    nk_mark_range("far", far, MIB);
    nk_mark_range("large", large, 96 * MIB);
    /* With the one above more than half of what a node has: some lines are as far from their node's beginning. */
    nk_mark_range("far and large", far_large, 96 * MIB);
    nk_mark_range("words", (const volatile uint8_t *)words, 2 * LINE);
    /* The end of one line and the beginning of the next. */
    nk_mark_range("unaligned", page + 60, 8);
    marked_read("once", near, LINES, 1);
    marked_read("three times", near, LINES, 3);
    marked_read("far", far, LINES, 1);
    /* More than the private cache, and more than both. */
    marked_read("8 MiB twice", large, 8 * MIB / LINE, 2);
    marked_read("96 MiB twice", large, 96 * MIB / LINE, 2);
    marked_read("96 MiB, far", far_large, 96 * MIB / LINE, 1);
    copied_by_kernel(far, near);
    marked_play("load and store, far", 1, 2, load_and_store);
    marked_play("load and store, near", 0, 1, load_and_store);
    marked_play("compare-exchange, far", 1, 2, exchange);
    marked_play("one line", 1, 2, store_in_one_line);
    marked_play("two lines", 1, 2, store_in_own_line);
    shared_by_all(far);
    pin(0);
    marked_words("to a line's end", near, MIB / PAGE, 56);
    marked_words("into the next line", near, MIB / PAGE, 60);
    marked_words("into the next page", near, MIB / PAGE - 1, PAGE - 4);
    nested_reads(near);
    return 0;
}
