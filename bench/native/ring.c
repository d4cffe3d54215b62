/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The opponent of bench/rings.ts in C: a ring of the same design. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "bench.h"

#define LINE 128
#define CAPACITY 1024u
#define MAX_BATCH 64

/* Each side's own index, and what it saw of the other one's. */
struct side {
    _Alignas(LINE) _Atomic uint32_t own;
    uint32_t seen;
};

static struct ring {
    struct side producer, consumer;
    _Alignas(LINE) int32_t records[CAPACITY];
} rings[2];

static int push(struct ring *ring, const int32_t *source, uint32_t count)
{
    uint32_t tail = atomic_load_explicit(&ring->producer.own, memory_order_relaxed);

    if (CAPACITY - (tail - ring->producer.seen) < count) {
        ring->producer.seen = atomic_load_explicit(&ring->consumer.own, memory_order_acquire);
        if (CAPACITY - (tail - ring->producer.seen) < count)
            return 0;
    }
    for (uint32_t index = 0; index < count; index++)
        ring->records[(tail + index) % CAPACITY] = source[index];
    atomic_store_explicit(&ring->producer.own, tail + count, memory_order_release);
    return 1;
}

static uint32_t pop(struct ring *ring, int32_t *target, uint32_t most)
{
    uint32_t head = atomic_load_explicit(&ring->consumer.own, memory_order_relaxed);
    uint32_t there = ring->consumer.seen - head;

    if (there < most) {
        ring->consumer.seen = atomic_load_explicit(&ring->producer.own, memory_order_acquire);
        there = ring->consumer.seen - head;
    }
    if (there > most)
        there = most;
    if (there == 0)
        return 0;
    for (uint32_t index = 0; index < there; index++)
        target[index] = ring->records[(head + index) % CAPACITY];
    atomic_store_explicit(&ring->consumer.own, head + there, memory_order_release);
    return there;
}

static int pin(int32_t cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

struct task {
    int32_t count, batch, cpu;
    int echo;
};

/* One word on a line of its own, which two threads write to in turn. */
static struct {
    _Alignas(LINE) _Atomic int32_t turn;
} line;

/* The second of the two: it makes each odd number even. */
static void *answer(void *data)
{
    const struct task *task = data;

    pin(task->cpu);
    for (int32_t turn = 1; turn < 2 * task->count; turn += 2) {
        while (atomic_load_explicit(&line.turn, memory_order_acquire) != turn)
            relax();
        atomic_store_explicit(&line.turn, turn + 1, memory_order_release);
    }
    return NULL;
}

/* A cache line to another CPU and back. Nanoseconds a round trip, times 1000, to out[0]. */
API int32_t bench_ping_pong(int32_t count, const int32_t *cpus, uint64_t *out)
{
    struct task task = {count, 1, cpus[1], 1};
    cpu_set_t before;
    pthread_t thread;

    atomic_store(&line.turn, 0);
    pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    if (pin(cpus[0]) != 0 || pthread_create(&thread, NULL, answer, &task) != 0)
        return -11;
    uint64_t start = now_ns();

    for (int32_t turn = 1; turn < 2 * count; turn += 2) {
        atomic_store_explicit(&line.turn, turn, memory_order_release);
        while (atomic_load_explicit(&line.turn, memory_order_acquire) != turn + 1)
            relax();
    }
    tell(start, count, out);
    pthread_join(thread, NULL);
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return 0;
}

/* Sends all, or sends back what comes. */
static void *other_side(void *data)
{
    const struct task *task = data;
    int32_t records[MAX_BATCH];

    pin(task->cpu);
    for (int32_t done = 0; done < task->count; done += task->batch) {
        for (int32_t index = 0; index < task->batch; index++)
            records[index] = done + index;
        if (task->echo)
            while (pop(&rings[0], records, (uint32_t)task->batch) == 0)
                relax();
        while (!push(&rings[task->echo ? 1 : 0], records, (uint32_t)task->batch))
            relax();
    }
    return NULL;
}

/* Records from a thread to this one, or to and fro. Nanoseconds a record, times 1000, to out[0]. */
API int32_t bench_ring(int32_t count, int32_t batch, int32_t echo, const int32_t *cpus, uint64_t *out)
{
    struct task task = {count, batch, cpus[1], echo};
    int32_t records[MAX_BATCH] = {0};
    cpu_set_t before;
    pthread_t thread;

    if (batch < 1 || batch > MAX_BATCH || count % batch != 0)
        return -22;
    memset(rings, 0, sizeof rings);
    pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    if (pin(cpus[0]) != 0 || pthread_create(&thread, NULL, other_side, &task) != 0)
        return -11;
    uint64_t start = now_ns();

    for (int32_t done = 0; done < count;) {
        if (echo)
            while (!push(&rings[0], records, (uint32_t)batch))
                relax();
        uint32_t got = pop(&rings[echo ? 1 : 0], records, (uint32_t)batch);

        while (got == 0) {
            relax();
            got = pop(&rings[echo ? 1 : 0], records, (uint32_t)batch);
        }
        done += (int32_t)got;
    }
    tell(start, count, out);
    pthread_join(thread, NULL);
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return 0;
}

/* Puts one record in and takes it out, in one thread. */
API int32_t bench_ring_pair(int32_t count, uint64_t *out)
{
    int32_t record = 0;

    memset(rings, 0, sizeof rings);
    uint64_t start = now_ns();

    for (int32_t index = 0; index < count; index++) {
        push(&rings[0], &record, 1);
        pop(&rings[0], &record, 1);
        record++;
    }
    tell(start, count, out);
    return record == count ? 0 : -5;
}
