/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The opponents of bench/sync.ts in C: the same work under the same locks. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define LINE 128
#define MAX_THREADS 64

enum kind { PTHREAD_MUTEX, MCS, SHARED_ADD, OWN_ADD, RWLOCK_READ };

struct node {
    _Alignas(LINE) _Atomic(struct node *) next;
    atomic_int locked;
};

/* Each on lines of its own. */
static struct {
    _Alignas(LINE) pthread_mutex_t mutex;
    _Alignas(LINE) pthread_rwlock_t rwlock;
    _Alignas(LINE) _Atomic(struct node *) tail;
    _Alignas(LINE) volatile uint32_t guarded;
    _Alignas(LINE) atomic_int shared;
    _Alignas(LINE) atomic_int phase;
} lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rwlock = PTHREAD_RWLOCK_INITIALIZER};

static struct node nodes[MAX_THREADS];

struct task {
    _Alignas(LINE) enum kind kind;
    struct node *node;
    int cpu;
    int steps;
    uint64_t count;
    atomic_int own;
    pthread_t thread;
};

static void mcs_acquire(struct node *me)
{
    struct node *before;

    atomic_store_explicit(&me->next, NULL, memory_order_relaxed);
    atomic_store_explicit(&me->locked, 1, memory_order_relaxed);
    before = atomic_exchange(&lock.tail, me);
    if (before == NULL)
        return;
    atomic_store(&before->next, me);
    while (atomic_load_explicit(&me->locked, memory_order_acquire))
        relax();
}

static void mcs_release(struct node *me)
{
    struct node *next = atomic_load_explicit(&me->next, memory_order_acquire), *expected = me;

    if (next == NULL) {
        if (atomic_compare_exchange_strong(&lock.tail, &expected, NULL))
            return;
        while ((next = atomic_load_explicit(&me->next, memory_order_acquire)) == NULL)
            relax();
    }
    atomic_store_explicit(&next->locked, 0, memory_order_release);
}

/* What is done under the lock: the same steps as in bench/workers/threads.ts. */
static void work(int steps)
{
    uint32_t value = lock.guarded;

    for (int i = 0; i < steps; i++)
        value = value * 1664525u + 1013904223u;
    lock.guarded = value;
}

static void once(struct task *task)
{
    switch (task->kind) {
    case PTHREAD_MUTEX:
        pthread_mutex_lock(&lock.mutex);
        work(task->steps);
        pthread_mutex_unlock(&lock.mutex);
        break;
    case MCS:
        mcs_acquire(task->node);
        work(task->steps);
        mcs_release(task->node);
        break;
    case SHARED_ADD:
        atomic_fetch_add(&lock.shared, 1);
        break;
    case OWN_ADD:
        atomic_fetch_add(&task->own, 1);
        break;
    case RWLOCK_READ:
        pthread_rwlock_rdlock(&lock.rwlock);
        pthread_rwlock_unlock(&lock.rwlock);
        break;
    }
}

static void *run(void *argument)
{
    struct task *task = argument;
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(task->cpu, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    while (atomic_load(&lock.phase) == 0)
        sched_yield();
    while (atomic_load_explicit(&lock.phase, memory_order_relaxed) == 1) {
        for (int i = 0; i < 64; i++)
            once(task);
        task->count += 64;
    }
    return NULL;
}

API int32_t bench_lock_pair(int32_t kind, int32_t count, uint64_t *out);
API int32_t bench_lock_threads(int32_t kind, int32_t threads, const int32_t *cpus, int32_t ms, int32_t steps,
                               uint64_t *out);

/* Acquires and releases without contention. */
API int32_t bench_lock_pair(int32_t kind, int32_t count, uint64_t *out)
{
    struct task task = {.kind = (enum kind)kind, .node = &nodes[0]};
    uint64_t start_ns = now_ns();

    for (int32_t i = 0; i < count; i++)
        once(&task);
    tell(start_ns, count, out);
    return 0;
}

/* Threads, each on cpus[i], do the work under the lock for so long: out[i] becomes thread i's count. */
API int32_t bench_lock_threads(int32_t kind, int32_t threads, const int32_t *cpus, int32_t ms, int32_t steps,
                               uint64_t *out)
{
    static struct task tasks[MAX_THREADS];
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    int32_t started = 0, error = 0;

    if (threads < 1 || threads > MAX_THREADS)
        return -EINVAL;
    memset(tasks, 0, sizeof tasks);
    atomic_store(&lock.phase, 0);
    for (; started < threads && error == 0; started++) {
        struct task *task = &tasks[started];

        task->kind = (enum kind)kind;
        task->node = &nodes[started];
        task->cpu = cpus[started];
        task->steps = steps;
        error = pthread_create(&task->thread, NULL, run, task);
    }
    if (error != 0)
        started--;
    atomic_store(&lock.phase, 1);
    if (error == 0)
        nanosleep(&pause, NULL);
    atomic_store(&lock.phase, 2);
    for (int32_t i = 0; i < started; i++) {
        pthread_join(tasks[i].thread, NULL);
        out[i] = tasks[i].count;
    }
    return -error;
}
