/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

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
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS), 0);
    CHECK_EQ(sched_getcpu(), cpu);
    CHECK_EQ(nk_cpu_current(), cpu);
    CHECK_EQ(nk_thread_yield(), 0);
    /* With a CPU that cannot exist the kernel would silently take the rest. */
    mask[NK_MAX_MASK_WORDS - 1] = 1;
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS), -ENXIO);
    CHECK_EQ(nk_affinity_get(after, NK_MAX_MASK_WORDS), cpu / 64 + 1);
    CHECK_EQ(after[cpu / 64], UINT64_C(1) << (cpu % 64));
    memset(mask, 0, sizeof mask);
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS), -EINVAL);
    CHECK_EQ(nk_affinity_set(NULL, 1), -EINVAL);
    CHECK_EQ(nk_affinity_set(before, 0), -EINVAL);
    CHECK_EQ(nk_affinity_set(before, NK_MAX_MASK_WORDS + 1), -EINVAL);
    CHECK_EQ(nk_affinity_get(NULL, 1), -EINVAL);
    mask[NK_MAX_MASK_WORDS - 1] = 1;
    CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS), -ENXIO);
    CHECK_EQ(nk_affinity_set(before, words), 0);
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
        CHECK_EQ(nk_affinity_set(mask, NK_MAX_MASK_WORDS), 0);
        CHECK_EQ(((volatile uint32_t *)(uintptr_t)address)[1], cpu);
    }
    CHECK_EQ(nk_affinity_set(before, words), 0);
}

/* A helper thread, pinned by itself, that waits to be told to end. */
struct helper {
    pthread_barrier_t ready, over;
    const uint64_t *mask;
    uint64_t after[NK_MAX_MASK_WORDS];
};

static void *help(void *data)
{
    struct helper *helper = data;

    CHECK_EQ(prctl(PR_SET_NAME, "nk-helper 7"), 0);
    CHECK_EQ(nk_affinity_set(helper->mask, NK_MAX_MASK_WORDS), 0);
    pthread_barrier_wait(&helper->ready);
    pthread_barrier_wait(&helper->over);
    CHECK(nk_affinity_get(helper->after, NK_MAX_MASK_WORDS) > 0);
    return NULL;
}

static void test_helpers_are_widened_by_name(void)
{
    uint64_t all[NK_MAX_MASK_WORDS], one[NK_MAX_MASK_WORDS] = {0}, none[NK_MAX_MASK_WORDS] = {0};
    int32_t words = nk_affinity_get(all, NK_MAX_MASK_WORDS), elsewhere;
    struct helper helper = {.mask = one};
    pthread_t thread;
    int cpu = 0;

    while ((all[cpu / 64] >> (cpu % 64) & 1) == 0)
        cpu++;
    one[cpu / 64] = UINT64_C(1) << (cpu % 64);
    elsewhere = memcmp(one, all, sizeof one) != 0;
    CHECK_EQ(pthread_barrier_init(&helper.ready, NULL, 2), 0);
    CHECK_EQ(pthread_barrier_init(&helper.over, NULL, 2), 0);
    CHECK_EQ(pthread_create(&thread, NULL, help, &helper), 0);
    pthread_barrier_wait(&helper.ready);
    CHECK_EQ(nk_threads_widen(all, words, "another\0"), 0);
    CHECK_EQ(nk_threads_widen(all, words, "\0"), 0);
    /* What cannot be, leaves it where it is. */
    none[NK_MAX_MASK_WORDS - 1] = UINT64_C(1) << 63;
    CHECK_EQ(nk_threads_widen(none, NK_MAX_MASK_WORDS, "nk-helper\0"), 0);
    CHECK_EQ(nk_threads_widen(all, words, "another\0nk-helper\0"), elsewhere);
    CHECK_EQ(nk_threads_widen(all, words, "another\0nk-helper\0"), 0);
    CHECK_EQ(nk_threads_widen(NULL, words, "\0"), -EINVAL);
    CHECK_EQ(nk_threads_widen(all, 0, "\0"), -EINVAL);
    CHECK_EQ(nk_threads_widen(all, NK_MAX_MASK_WORDS + 1, "\0"), -EINVAL);
    CHECK_EQ(nk_threads_widen(all, words, NULL), -EINVAL);
    pthread_barrier_wait(&helper.over);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(memcmp(helper.after, all, sizeof all), 0);
}

int main(void)
{
    RUN(test_identity_is_stable_and_ends_with_the_thread);
    RUN(test_affinity_is_set_exactly_or_not_at_all);
    RUN(test_policy);
    RUN(test_rseq_follows_the_cpu);
    RUN(test_helpers_are_widened_by_name);
    return 0;
}
