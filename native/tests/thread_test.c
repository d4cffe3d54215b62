/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "kernel.h"
#include "nodes.h"
#include "numakit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void *identify(void *out)
{
    CHECK_EQ(nk_thread_self(out), 3);
    return NULL;
}

static void test_identity_is_stable_and_ends_with_the_thread(void)
{
    uint64_t first[3], again[3], other[3], later[3];
    pthread_t thread;

    CHECK_EQ(nk_thread_self(first), 3);
    CHECK_EQ(nk_thread_self(again), 3);
    CHECK_EQ(memcmp(first, again, sizeof first), 0);
    CHECK_EQ(nk_thread_alive(first[0]), 1);
    CHECK_EQ(pthread_create(&thread, NULL, identify, other), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(other[0] != first[0] && other[1] != first[1] && other[2] != first[2]);
    CHECK_EQ(nk_thread_alive(other[0]), 0);
    CHECK_EQ(pthread_create(&thread, NULL, identify, later), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    /* The slot comes back, the identity does not. */
    CHECK_EQ(later[1], other[1]);
    CHECK(later[0] != other[0]);
    CHECK_EQ(nk_thread_alive(0), 0);
    CHECK_EQ(nk_thread_alive(UINT64_MAX), 0);
}

static void test_affinity_is_set_exactly_or_not_at_all(void)
{
    uint64_t before[NK_MAX_MASK_WORDS], after[NK_MAX_MASK_WORDS], mask[NK_MAX_MASK_WORDS] = {0};
    int32_t words = nk_affinity_get(before, NK_MAX_MASK_WORDS);
    int cpu = 0;

    CHECK(words > 0);
    while ((before[cpu / 64] >> (cpu % 64) & 1) == 0)
        cpu++;
    mask[cpu / 64] = UINT64_C(1) << (cpu % 64);
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 0), 0);
    CHECK_EQ(sched_getcpu(), cpu);
    CHECK_EQ(nk_cpu_current(), cpu);
    CHECK_EQ(nk_thread_yield(), 0);
    /* With a CPU that cannot exist the kernel would silently take the rest. */
    mask[NK_MAX_MASK_WORDS - 1] = 1;
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 0), -ENXIO);
    CHECK_EQ(nk_affinity_get(after, NK_MAX_MASK_WORDS), cpu / 64 + 1);
    CHECK_EQ(after[cpu / 64], UINT64_C(1) << (cpu % 64));
    memset(mask, 0, sizeof mask);
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 0), -EINVAL);
    CHECK_EQ(nk_affinity_set(NULL, 1, 0), -EINVAL);
    CHECK_EQ(nk_affinity_set(before, 0, 0), -EINVAL);
    CHECK_EQ(nk_affinity_set(before, NK_MAX_MASK_WORDS + 1, 0), -EINVAL);
    CHECK_EQ(nk_affinity_get(NULL, 1), -EINVAL);
    mask[NK_MAX_MASK_WORDS - 1] = 1;
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 0), -ENXIO);
    CHECK_EQ(nk_affinity_set(before, words, 0), 0);
}

static void test_a_part_of_a_mask_will_do_where_the_caller_says_so(void)
{
    uint64_t before[NK_MAX_MASK_WORDS], after[NK_MAX_MASK_WORDS], mask[NK_MAX_MASK_WORDS] = {0};
    int32_t words = nk_affinity_get(before, NK_MAX_MASK_WORDS);

    CHECK(words > 0);
    memcpy(mask, before, sizeof mask);
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 1), 0);
    mask[NK_MAX_MASK_WORDS - 1] = 1;
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 1), 1);
    CHECK_EQ(nk_affinity_get(after, NK_MAX_MASK_WORDS), words);
    CHECK_EQ(memcmp(after, before, sizeof after), 0);
    memset(mask, 0, sizeof mask);
    mask[NK_MAX_MASK_WORDS - 1] = 1;
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 1), -ENXIO);
    CHECK_EQ(nk_affinity_get(after, NK_MAX_MASK_WORDS), words);
    CHECK_EQ(memcmp(after, before, sizeof after), 0);
}

static void test_policy(void)
{
    CHECK_EQ(nk_policy_set(NK_POLICY_PREFER, 0), 0);
    CHECK_EQ(nk_policy_set(NK_POLICY_BIND, 0), 0);
    CHECK_EQ(nk_policy_set(NK_POLICY_DEFAULT, -1), 0);
    CHECK_EQ(nk_policy_set(NK_POLICY_PREFER, -1), -EINVAL);
    CHECK_EQ(nk_policy_set(NK_POLICY_PREFER, 1024), -EINVAL);
    CHECK_EQ(nk_policy_set(NK_POLICY_BIND, 1023), -EINVAL);
    CHECK_EQ(nk_policy_set(3, 0), -EINVAL);
}

static void test_a_policy_is_saved_and_restored(void)
{
    uint64_t first[NK_POLICY_WORDS], saved[NK_POLICY_WORDS], again[NK_POLICY_WORDS];
    unsigned long nodes[NK_NODE_WORDS] = {1};

    CHECK_EQ(nk_policy_save(first), NK_POLICY_WORDS);
    CHECK_EQ(nk_policy_set(NK_POLICY_PREFER, 0), 0);
    CHECK_EQ(nk_policy_save(saved), NK_POLICY_WORDS);
    CHECK_EQ(saved[0], NK_POLICY_PREFER);
    CHECK_EQ(saved[1], 1);
    /* One of a kind that is never set here, with a flag. */
    CHECK_EQ(set_mempolicy(MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, nodes, NK_NODE_BITS), 0);
    CHECK_EQ(nk_policy_save(saved), NK_POLICY_WORDS);
    CHECK_EQ(saved[0], MPOL_INTERLEAVE | MPOL_F_STATIC_NODES);
    CHECK_EQ(nk_policy_set(NK_POLICY_BIND, 0), 0);
    CHECK_EQ(nk_policy_restore(saved), 0);
    CHECK_EQ(nk_policy_save(again), NK_POLICY_WORDS);
    CHECK_EQ(memcmp(saved, again, sizeof saved), 0);
    CHECK_EQ(nk_policy_restore(first), 0);
    CHECK_EQ(nk_policy_save(again), NK_POLICY_WORDS);
    CHECK_EQ(memcmp(first, again, sizeof first), 0);
    saved[0] = UINT64_MAX;
    CHECK_EQ(nk_policy_restore(saved), -EINVAL);
    saved[0] = 99;
    CHECK_EQ(nk_policy_restore(saved), -EINVAL);
    CHECK_EQ(nk_policy_restore(NULL), -EINVAL);
    CHECK_EQ(nk_policy_save(NULL), -EINVAL);
}

static void test_rseq_follows_the_cpu(void)
{
    uint64_t address, before[NK_MAX_MASK_WORDS], mask[NK_MAX_MASK_WORDS] = {0};
    int32_t words = nk_affinity_get(before, NK_MAX_MASK_WORDS);
    int32_t bytes = nk_thread_rseq(&address);

    if (bytes == -ENOSYS) {
        printf("# no rseq area: the C library does not register one\n");
        return;
    }
    CHECK(bytes >= 20 && bytes <= 32);
    for (int cpu = 0; cpu < words * 64; cpu++) {
        if ((before[cpu / 64] >> (cpu % 64) & 1) == 0)
            continue;
        memset(mask, 0, sizeof mask);
        mask[cpu / 64] = UINT64_C(1) << (cpu % 64);
        CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS, 0), 0);
        CHECK_EQ(((volatile uint32_t *)(uintptr_t)address)[1], cpu);
    }
    CHECK_EQ(nk_affinity_set(before, words, 0), 0);
}

/* A thread that waits to be told to end, registered or not. */
struct other {
    pthread_barrier_t ready, over;
    int registers;
    uint64_t self[3];
    uint64_t after[NK_MAX_MASK_WORDS];
};

static void *wait_over(void *data)
{
    struct other *other = data;

    CHECK_EQ(prctl(PR_SET_NAME, "nk-helper 7"), 0);
    if (other->registers)
        CHECK_EQ(nk_thread_self(other->self), 3);
    pthread_barrier_wait(&other->ready);
    pthread_barrier_wait(&other->over);
    CHECK(nk_affinity_get(other->after, NK_MAX_MASK_WORDS) > 0);
    return NULL;
}

static pthread_t start(struct other *other)
{
    pthread_t thread;

    CHECK_EQ(pthread_barrier_init(&other->ready, NULL, 2), 0);
    CHECK_EQ(pthread_barrier_init(&other->over, NULL, 2), 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_over, other), 0);
    pthread_barrier_wait(&other->ready);
    return thread;
}

static void end(struct other *other, pthread_t thread)
{
    pthread_barrier_wait(&other->over);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* The first CPU of a mask alone. Returns whether it has others. */
static int first_of(const uint64_t *all, uint64_t *one)
{
    int cpu = 0;

    while ((all[cpu / 64] >> (cpu % 64) & 1) == 0)
        cpu++;
    memset(one, 0, NK_MAX_MASK_WORDS * sizeof *one);
    one[cpu / 64] = UINT64_C(1) << (cpu % 64);
    return memcmp(one, all, NK_MAX_MASK_WORDS * sizeof *one) != 0;
}

static void test_another_thread_is_moved_by_its_identity(void)
{
    uint64_t all[NK_MAX_MASK_WORDS], one[NK_MAX_MASK_WORDS], before[NK_MAX_MASK_WORDS], none[NK_MAX_MASK_WORDS] = {0};
    int32_t words = nk_affinity_get(all, NK_MAX_MASK_WORDS);
    struct other other = {.registers = 1};
    pthread_t thread = start(&other);

    first_of(all, one);
    CHECK_EQ(nk_thread_move(other.self[0], one, NK_MAX_MASK_WORDS, 0, before), words);
    CHECK_EQ(memcmp(before, all, sizeof all), 0);
    /* What cannot be, leaves it where it is. */
    none[NK_MAX_MASK_WORDS - 1] = UINT64_C(1) << 63;
    CHECK_EQ(nk_thread_move(other.self[0], none, NK_MAX_MASK_WORDS, 0, before), -ENXIO);
    CHECK_EQ(nk_thread_move(other.self[0], one, 0, 0, before), -EINVAL);
    CHECK_EQ(nk_thread_move(other.self[0], NULL, words, 0, before), -EINVAL);
    CHECK_EQ(nk_thread_move(other.self[0], one, words, 0, NULL), -EINVAL);
    CHECK_EQ(nk_thread_move(0, one, words, 0, before), -ESTALE);
    CHECK_EQ(nk_thread_move(UINT64_MAX, one, words, 0, before), -ESTALE);
    CHECK_EQ(nk_affinity_get(before, NK_MAX_MASK_WORDS), words);
    CHECK_EQ(memcmp(before, all, sizeof all), 0); /* the caller stayed */
    end(&other, thread);
    CHECK_EQ(memcmp(other.after, one, sizeof one), 0);
    CHECK_EQ(nk_thread_move(other.self[0], all, words, 0, before), -ESTALE);
    /* The calling thread is a thread like others. */
    CHECK_EQ(nk_thread_self(other.self), 3);
    CHECK_EQ(nk_thread_move(other.self[0], all, words, 0, before), words);
}

static void test_what_somebody_else_gave_a_thread_is_not_widened(void)
{
    uint64_t all[NK_MAX_MASK_WORDS], one[NK_MAX_MASK_WORDS], before[NK_MAX_MASK_WORDS], own[NK_MAX_MASK_WORDS];
    int32_t words = nk_affinity_get(all, NK_MAX_MASK_WORDS);
    struct other other = {.registers = 1};
    pthread_t thread = start(&other);

    if (first_of(all, one)) {
        /* numakit's own doing is undone; somebody else's is not. */
        memcpy(before, all, sizeof all);
        CHECK_EQ(nk_thread_move(other.self[0], one, words, NK_PIN_OWN, before), words);
        memcpy(before, all, sizeof all);
        CHECK(nk_thread_move(other.self[0], all, words, NK_PIN_OWN, before) > 0);
        CHECK_EQ(nk_thread_move(other.self[0], one, words, 0, before), words);
        memcpy(before, all, sizeof all);
        CHECK_EQ(nk_thread_move(other.self[0], all, words, NK_PIN_OWN, before), -EACCES);
        memcpy(before, all, sizeof all);
        CHECK(nk_thread_move(other.self[0], one, words, NK_PIN_OWN, before) > 0);
        memcpy(before, all, sizeof all);
        CHECK_EQ(nk_thread_move(other.self[0], all, words, NK_PIN_OWN, before), -EACCES);
        memcpy(before, one, sizeof one); /* home is no more than that */
        CHECK(nk_thread_move(other.self[0], one, words, NK_PIN_OWN, before) > 0);
        memcpy(before, all, sizeof all);
        CHECK(nk_thread_move(other.self[0], all, words, NK_PIN_OWN, before) > 0);
    }
    end(&other, thread);
    CHECK_EQ(nk_affinity_set(all, words, NK_PIN_OWN), 0);
    CHECK_EQ(nk_affinity_own(own, NK_MAX_MASK_WORDS), words);
    CHECK_EQ(memcmp(own, all, (size_t)words * sizeof *own), 0);
    CHECK_EQ(nk_affinity_own(own, 0), -EINVAL);
    CHECK_EQ(nk_affinity_own(NULL, 1), -EINVAL);
    CHECK_EQ(nk_affinity_set(all, words, 0), 0);
    CHECK_EQ(nk_affinity_own(own, NK_MAX_MASK_WORDS), 0);
}

/* Threads that end while somebody moves them, as fast as they come. */
static void *move_others(void *data)
{
    uint64_t all[NK_MAX_MASK_WORDS], before[NK_MAX_MASK_WORDS], *next = data, identity;
    int32_t words = nk_affinity_get(all, NK_MAX_MASK_WORDS), result;

    while ((identity = __atomic_load_n(next, __ATOMIC_ACQUIRE)) != 1) {
        result = nk_thread_move(identity, all, words, 0, before);
        CHECK(result == words || result == -ESTALE);
    }
    return NULL;
}

static void *publish(void *data)
{
    uint64_t self[3];

    CHECK_EQ(nk_thread_self(self), 3);
    __atomic_store_n((uint64_t *)data, self[0], __ATOMIC_RELEASE);
    return NULL;
}

static void test_threads_that_end_are_moved_or_gone(void)
{
    uint64_t next = 0;
    pthread_t mover, thread;

    CHECK_EQ(pthread_create(&mover, NULL, move_others, &next), 0);
    for (int round = 0; round < 300; round++) {
        CHECK_EQ(pthread_create(&thread, NULL, publish, &next), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    __atomic_store_n(&next, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(mover, NULL), 0);
}

static void test_helpers_are_placed_by_name(void)
{
    uint64_t all[NK_MAX_MASK_WORDS], one[NK_MAX_MASK_WORDS], none[NK_MAX_MASK_WORDS] = {0};
    uint64_t out[2 * NK_PLACED_WORDS] = {0}, self[3];
    int32_t words = nk_affinity_get(all, NK_MAX_MASK_WORDS), elsewhere = first_of(all, one);
    struct other helper = {.registers = 0}, worker = {.registers = 1};
    pthread_t thread = start(&helper), registered = start(&worker);

    CHECK_EQ(nk_thread_self(self), 3);
    CHECK_EQ(prctl(PR_SET_NAME, "nk-helper 1"), 0); /* the first thread is never one of them */
    CHECK_EQ(nk_threads_place(one, words, "another\0", 0, out, 2), 0);
    CHECK_EQ(nk_threads_place(one, words, "\0", 0, out, 2), 0);
    CHECK_EQ(nk_threads_place(one, NK_MAX_MASK_WORDS, "another\0nk-helper\0", 0, out, 2), 1);
    CHECK(out[0] != self[2] && out[0] != worker.self[2]);
    CHECK_EQ(out[1], elsewhere);
    CHECK_EQ(strcmp((char *)&out[2], "nk-helper 7"), 0);
    CHECK_EQ(nk_threads_place(one, words, "nk-helper\0", 0, out, 2), 1);
    CHECK_EQ(out[1], 0);
    /* One that is to grow is not robbed. */
    for (int32_t word = 0; word < words; word++)
        none[word] = all[word] & ~one[word];
    CHECK_EQ(nk_threads_place(elsewhere ? none : one, words, "nk-helper\0", 1, out, 2), 1);
    CHECK_EQ(out[1], 0);
    none[0] = 0;
    CHECK_EQ(nk_threads_place(all, words, "nk-helper\0", 1, out, 2), 1);
    CHECK_EQ(out[1], elsewhere);
    CHECK_EQ(nk_threads_place(all, words, "nk-helper\0", 0, NULL, 0), 1);
    memset(none, 0, sizeof none);
    /* What cannot be, leaves it where it is. */
    none[NK_MAX_MASK_WORDS - 1] = UINT64_C(1) << 63;
    CHECK_EQ(nk_threads_place(none, NK_MAX_MASK_WORDS, "nk-helper\0", 0, out, 2), 1);
    CHECK_EQ((int64_t)out[1], -ENXIO);
    CHECK_EQ(nk_threads_place(NULL, words, "\0", 0, out, 2), -EINVAL);
    CHECK_EQ(nk_threads_place(all, 0, "\0", 0, out, 2), -EINVAL);
    CHECK_EQ(nk_threads_place(all, NK_MAX_MASK_WORDS + 1, "\0", 0, out, 2), -EINVAL);
    CHECK_EQ(nk_threads_place(all, words, NULL, 0, out, 2), -EINVAL);
    CHECK_EQ(nk_threads_place(all, words, "\0", 0, NULL, 2), -EINVAL);
    end(&helper, thread);
    end(&worker, registered);
    CHECK_EQ(memcmp(helper.after, all, sizeof all), 0);
    CHECK_EQ(memcmp(worker.after, all, sizeof all), 0);
}

/* A thread that works for a while, with others watching. */
struct worker {
    pthread_barrier_t ready, over;
    uint64_t self[3];
    char name[16];
    int nice;
};

static void *work(void *data)
{
    struct worker *worker = data;

    CHECK_EQ(nk_thread_self(worker->self), 3);
    CHECK_EQ(nk_thread_rename("fifteen bytes.."), 0);
    CHECK_EQ(nk_thread_rename("sixteen bytes..."), -EINVAL);
    CHECK_EQ(nk_thread_rename(NULL), -EINVAL);
    for (double end = now_ms() + 30; now_ms() < end;)
        ;
    pthread_barrier_wait(&worker->ready);
    pthread_barrier_wait(&worker->over);
    CHECK_EQ(prctl(PR_GET_NAME, worker->name), 0);
    worker->nice = getpriority(PRIO_PROCESS, 0);
    return NULL;
}

static void test_vitals_of_another_thread(void)
{
    int own = getpriority(PRIO_PROCESS, 0), nicer = own < 15 ? own + 3 : 19;
    struct worker worker;
    uint64_t ns = 0, later = 0, other[3];
    pthread_t thread;
    int32_t nice;

    CHECK_EQ(pthread_barrier_init(&worker.ready, NULL, 2), 0);
    CHECK_EQ(pthread_barrier_init(&worker.over, NULL, 2), 0);
    CHECK_EQ(pthread_create(&thread, NULL, work, &worker), 0);
    pthread_barrier_wait(&worker.ready);
    CHECK_EQ(nk_thread_cpu_time(worker.self[0], &ns), 1);
    CHECK(ns > 1000000 && ns < UINT64_C(60000000000));
    CHECK_EQ(nk_thread_cpu_time(worker.self[0], NULL), -EINVAL);
    CHECK_EQ(nk_thread_nice(worker.self[0], &nice), 1);
    CHECK_EQ(nice, own);
    CHECK_EQ(nk_thread_renice(worker.self[0], nicer), 0);
    CHECK_EQ(nk_thread_nice(worker.self[0], &nice), 1);
    CHECK_EQ(nice, nicer);
    CHECK_EQ(nk_thread_nice(worker.self[0], NULL), -EINVAL);
    CHECK_EQ(nk_thread_renice(worker.self[0], 20), -EINVAL);
    CHECK_EQ(nk_thread_renice(worker.self[0], -21), -EINVAL);
    pthread_barrier_wait(&worker.over);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(strcmp(worker.name, "fifteen bytes.."), 0);
    CHECK_EQ(worker.nice, nicer);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), own);
    /* It is gone: all that it used is known until another thread has its slot. */
    CHECK_EQ(nk_thread_cpu_time(worker.self[0], &later), 0);
    CHECK(later >= ns);
    CHECK_EQ(nk_thread_nice(worker.self[0], &nice), -ESTALE);
    CHECK_EQ(nk_thread_renice(worker.self[0], 5), -ESTALE);
    CHECK_EQ(pthread_create(&thread, NULL, identify, other), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(other[1], worker.self[1]);
    CHECK_EQ(nk_thread_cpu_time(worker.self[0], &later), -ESTALE);
    CHECK_EQ(nk_thread_cpu_time(0, &later), -ESTALE);
    CHECK_EQ(nk_thread_cpu_time(UINT64_MAX, &later), -ESTALE);
}

int main(void)
{
    RUN(test_identity_is_stable_and_ends_with_the_thread);
    RUN(test_affinity_is_set_exactly_or_not_at_all);
    RUN(test_a_part_of_a_mask_will_do_where_the_caller_says_so);
    RUN(test_policy);
    RUN(test_a_policy_is_saved_and_restored);
    RUN(test_rseq_follows_the_cpu);
    RUN(test_another_thread_is_moved_by_its_identity);
    RUN(test_what_somebody_else_gave_a_thread_is_not_widened);
    RUN(test_threads_that_end_are_moved_or_gone);
    RUN(test_helpers_are_placed_by_name);
    RUN(test_vitals_of_another_thread);
    return 0;
}
