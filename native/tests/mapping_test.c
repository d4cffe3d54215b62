/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "files.h"
#include "numakit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void create(uint64_t bytes, uint64_t *out)
{
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, small_page(), bytes, out), NK_MAPPING_FACTS);
}

static void test_pages_are_on_the_node(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    int32_t counts[3];

    create(4 * MIB, out);
    CHECK_EQ(out[2], small_page());
    CHECK_EQ(out[3], 4 * MIB);
    CHECK_EQ(nk_mapping_residency(out[0], 0, 4 * MIB, counts, 2), (int32_t)(4 * MIB / small_page()));
    CHECK_EQ(counts[2], (int32_t)(4 * MIB / small_page()));
    CHECK_EQ(nk_mapping_populate(out[0], 0, 2 * MIB), 0);
    nk_mapping_residency(out[0], 0, 4 * MIB, counts, 2);
    CHECK_EQ(counts[0], (int32_t)(2 * MIB / small_page()));
    CHECK_EQ(counts[2], (int32_t)(2 * MIB / small_page()));
    memset((char *)(uintptr_t)out[1] + out[2], 1, 4 * MIB);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(*(volatile char *)(uintptr_t)(out[1] + out[2]), 0);
}

static void test_bad_requests(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();

    CHECK_EQ(nk_mapping_create(-1, NK_PAGES_SMALL, 0, page, page, out), -ENODEV);
    CHECK_EQ(nk_mapping_create(64, NK_PAGES_SMALL, 0, page, page, out), -ENODEV);
    CHECK_EQ(nk_mapping_create(1000000, NK_PAGES_SMALL, 0, page, page, out), -ENODEV);
    CHECK_EQ(nk_mapping_create(0, 3, 0, page, page, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, 0, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, page + 1, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page * 2, page * 2, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, 0, page, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, UINT64_MAX - page + 1, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_HUGE, 0, page, page, out), -EINVAL);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_HUGE, 0, 1 << 13, 1 << 13, out), -EINVAL);
    /* More hugepages than any pool has. */
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_HUGE, 0, 2 * MIB, UINT64_C(1) << 45, out), -ENOMEM);
}

static void test_ranges_and_identities_are_checked(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();
    int32_t counts[2];

    create(MIB, out);
    CHECK_EQ(nk_mapping_populate(out[0], MIB, page), -EINVAL);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB + page), -EINVAL);
    CHECK_EQ(nk_mapping_populate(out[0], page, UINT64_MAX - page + 1), -EINVAL);
    CHECK_EQ(nk_mapping_populate(out[0], 1, page), -EINVAL);
    CHECK_EQ(nk_mapping_populate(out[0], 0, 0), -EINVAL);
    CHECK_EQ(nk_mapping_residency(out[0], 0, MIB, NULL, 1), -EINVAL);
    CHECK_EQ(nk_mapping_residency(out[0], 0, MIB, counts, 0), -EINVAL);
    CHECK_EQ(nk_mapping_populate(out[0] + 1, 0, page), -ESTALE);
    CHECK_EQ(nk_mapping_populate(out[0] + 65536, 0, page), -ESTALE);
    CHECK_EQ(nk_mapping_populate(0, 0, page), -ESTALE);
    CHECK_EQ(nk_mapping_attach(UINT64_MAX, out + 0), -ESTALE);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), -ESTALE);
    CHECK_EQ(nk_mapping_populate(out[0], 0, page), -ESTALE);
}

/* The place of a mapping that is gone may be another one's by now. */
static void test_an_attach_that_fails_holds_nothing(void)
{
    uint64_t gone[NK_MAPPING_FACTS], out[NK_MAPPING_FACTS];

    create(MIB, gone);
    CHECK_EQ(nk_mapping_release(gone[0], NK_VIEWS_DEAD), 0);
    create(MIB, out);
    CHECK_EQ(nk_mapping_attach(gone[0], gone), -ESTALE);
    CHECK_EQ(nk_mapping_populate(gone[0], 0, MIB), -ESTALE);
    CHECK_EQ(nk_mapping_release(gone[0], NK_VIEWS_DEAD), -ESTALE);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
    CHECK_EQ(nk_mapping_release(out[0], NK_VIEWS_DEAD), 0);
}

static void test_more_than_the_node_has_is_refused_untouched(void)
{
    uint64_t out[NK_MAPPING_FACTS], available[2], stats[4];

    CHECK(nk_node_available(0, available) > 0);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, small_page(), (available[0] / MIB + 1024) * MIB, out), -ENOMEM);
    CHECK_EQ(nk_mapping_stats(stats), 4);
    CHECK_EQ(stats[0], 0);
    CHECK_EQ(stats[1], 0);
}

struct shared {
    uint64_t identity;
    int32_t detached; /* what the thread says when it releases; -1: it just ends */
};

static void *use(void *argument)
{
    const struct shared *shared = argument;
    uint64_t out[NK_MAPPING_FACTS], self[3];

    CHECK_EQ(nk_mapping_attach(shared->identity, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_attach(shared->identity, out), NK_MAPPING_FACTS);
    CHECK_EQ(out[9], 2);
    CHECK_EQ(nk_mapping_list(out, 0), 1);
    CHECK_EQ(nk_mapping_list(out, NK_MAPPING_FACTS), 1);
    CHECK_EQ(out[0], shared->identity);
    CHECK_EQ(nk_mapping_attach(shared->identity, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_thread_self(self), 3);
    *(volatile uint32_t *)(uintptr_t)out[1] = (uint32_t)self[1] + 1;
    if (shared->detached >= 0) {
        CHECK(nk_mapping_release(shared->identity, shared->detached) >= 0);
        CHECK_EQ(nk_mapping_release(shared->identity, shared->detached), -ESTALE);
    }
    return NULL;
}

static void run_thread(uint64_t identity, int32_t detached)
{
    struct shared shared = {identity, detached};
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, use, &shared), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void test_a_thread_that_releases_gives_the_owner_word_back(void)
{
    uint64_t out[NK_MAPPING_FACTS], stats[4];

    create(MIB, out);
    run_thread(out[0], 1);
    CHECK_EQ(*(volatile uint32_t *)(uintptr_t)out[1], 0);
    memset((char *)(uintptr_t)out[1], 0xff, MIB);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    /* Native code may still have the address. */
    CHECK(is_mapped((void *)(uintptr_t)out[1]));
    CHECK_EQ(*(volatile uint32_t *)(uintptr_t)out[1], 0);
    nk_mapping_stats(stats);
    CHECK_EQ(stats[2], 0);
}

static void test_a_thread_that_just_ends_is_accounted_for(void)
{
    uint64_t out[NK_MAPPING_FACTS], stats[4];

    create(MIB, out);
    run_thread(out[0], -1);
    CHECK_EQ(*(volatile uint32_t *)(uintptr_t)out[1], 0);
    memset((char *)(uintptr_t)out[1], 0xff, MIB);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    /* Its views cannot be vouched for: no pages, but the range stays and reads zeros. */
    CHECK(is_mapped((void *)(uintptr_t)out[1]));
    for (uint64_t i = 0; i < MIB; i++)
        CHECK_EQ(((volatile char *)(uintptr_t)out[1])[i], 0);
    nk_mapping_stats(stats);
    CHECK_EQ(stats[0], 0);
    CHECK_EQ(stats[2], 1);
    CHECK_EQ(stats[3], MIB + small_page());
}

static void *let_go_last(void *argument)
{
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(nk_mapping_attach(*(uint64_t *)argument, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_release(*(uint64_t *)argument, 1), 1);
    return NULL;
}

static void test_many_threads_attach_and_release(void)
{
    enum { THREADS = 8, ROUNDS = 50 };
    uint64_t out[NK_MAPPING_FACTS], stats[4], retired;

    nk_mapping_stats(stats);
    retired = stats[2];
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];

        create(64 * small_page(), out);
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
        create(64 * small_page(), out);
        /* One at a time: each sees exactly one other holder. */
        for (int i = 0; i < THREADS; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, let_go_last, &out[0]), 0);
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        }
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
        CHECK_EQ(nk_mapping_attach(out[0], out), -ESTALE);
    }
    nk_mapping_stats(stats);
    CHECK_EQ(stats[0], 0);
    CHECK_EQ(stats[2], retired);
}

static void *pin(void *argument)
{
    uint64_t out[NK_MAPPING_FACTS], identity = *(uint64_t *)argument;

    CHECK_EQ(nk_mapping_attach(identity, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_release(identity, NK_VIEWS_PINNED), 1);
    return NULL;
}

static void in_a_thread(void *(*body)(void *), uint64_t *identity)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, body, identity), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void test_what_is_pinned_is_kept_until_it_is_not(void)
{
    uint64_t out[NK_MAPPING_FACTS], stats[4], retired, before[4], after[4], identity;
    volatile char *start;

    nk_mapping_stats(stats);
    retired = stats[2];
    CHECK_EQ(nk_mapping_quarantine(before), 4);
    create(MIB, out);
    identity = out[0];
    start = (char *)(uintptr_t)out[1];
    /* Unpinned while the mapping lives. */
    in_a_thread(pin, &identity);
    CHECK_EQ(nk_mapping_unpin(identity), 0);
    CHECK_EQ(nk_mapping_unpin(identity), -ESTALE);
    /* Pinned by two when it goes. */
    in_a_thread(pin, &identity);
    start[64] = 1;
    CHECK_EQ(nk_mapping_release(identity, NK_VIEWS_NEVER + 1), -EINVAL);
    CHECK_EQ(nk_mapping_release(identity, -1), -EINVAL);
    CHECK_EQ(nk_mapping_release(identity, NK_VIEWS_PINNED), 0);
    CHECK_EQ(start[64], 0);
    CHECK_EQ(nk_mapping_unpin(identity), 0);
    nk_mapping_stats(stats);
    CHECK_EQ(stats[2], retired + 1);
    nk_mapping_quarantine(after);
    CHECK_EQ(after[0], before[0]);
    CHECK_EQ(nk_mapping_unpin(identity), 0);
    nk_mapping_stats(stats);
    CHECK_EQ(stats[2], retired);
    nk_mapping_quarantine(after);
    CHECK(after[0] >= before[0] + MIB);
    CHECK_EQ(nk_mapping_unpin(identity), -ESTALE);
    CHECK_EQ(start[64], 0);
    /* Lost by one, pinned by another. */
    create(MIB, out);
    identity = out[0];
    in_a_thread(pin, &identity);
    CHECK_EQ(nk_mapping_release(identity, NK_VIEWS_ASTRAY), 0);
    CHECK_EQ(nk_mapping_unpin(identity), -ESTALE);
    nk_mapping_stats(stats);
    CHECK_EQ(stats[2], retired + 1);
}

static void test_each_of_several_that_are_pinned_is_kept(void)
{
    enum { COUNT = 4 };
    uint64_t out[NK_MAPPING_FACTS], identities[COUNT], before[4], after[4];

    nk_mapping_quarantine(before);
    for (int i = 0; i < COUNT; i++) {
        create(MIB, out);
        identities[i] = out[0];
        CHECK_EQ(nk_mapping_release(out[0], NK_VIEWS_PINNED), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(nk_mapping_unpin(identities[i]), 0);
        nk_mapping_quarantine(after);
        CHECK(after[0] >= before[0] + (uint64_t)(i + 1) * MIB);
        CHECK_EQ(nk_mapping_unpin(identities[i]), -ESTALE);
    }
}

static void test_what_nobody_saw_is_unmapped(void)
{
    uint64_t out[NK_MAPPING_FACTS], before[4], after[4];

    nk_mapping_quarantine(before);
    create(MIB, out);
    CHECK_EQ(nk_mapping_release(out[0], NK_VIEWS_NEVER), 0);
    CHECK(!is_mapped((void *)(uintptr_t)out[1]));
    nk_mapping_quarantine(after);
    CHECK_EQ(after[0], before[0]);
}

static void test_a_reservation_is_committed_in_steps(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();
    int32_t counts[2];
    volatile char *data;

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, NK_RESERVE, page, MIB, out), NK_MAPPING_FACTS);
    CHECK_EQ(out[3], MIB);
    CHECK_EQ(out[4], 0);
    data = (char *)(uintptr_t)out[1] + out[2];
    CHECK_EQ(nk_mapping_populate(out[0], 0, page), -EINVAL);
    /* What is not committed is not asked about: another thread may just have given it back. */
    CHECK_EQ(nk_mapping_residency(out[0], 0, page, counts, 1), 0);
    CHECK_EQ(nk_mapping_residency(out[0], 0, MIB + page, counts, 1), -EINVAL);
    CHECK_EQ(nk_mapping_residency(out[0], 1, page, counts, 1), -EINVAL);
    /* A stray access is harmless, and leaves nothing behind in what is committed later. */
    data[MIB - 1] = 1;
    CHECK_EQ(nk_mapping_commit(out[0], MIB + page), -EINVAL);
    CHECK_EQ(nk_mapping_commit(out[0], 1), -EINVAL);
    CHECK_EQ(nk_mapping_commit(out[0], 16 * page), 0);
    CHECK_EQ(nk_mapping_populate(out[0], 0, 16 * page), 0);
    CHECK_EQ(nk_mapping_populate(out[0], 16 * page, page), -EINVAL);
    CHECK_EQ(nk_mapping_residency(out[0], 8 * page, 16 * page, counts, 1), 8);
    CHECK_EQ(counts[0], 8);
    CHECK_EQ(counts[1], 0);
    data[0] = 7;
    CHECK_EQ(nk_mapping_commit(out[0], MIB), 0);
    CHECK_EQ(nk_mapping_populate(out[0], 16 * page, MIB - 16 * page), 0);
    CHECK_EQ(nk_mapping_residency(out[0], 0, MIB, counts, 1), (int32_t)(MIB / page));
    CHECK_EQ(counts[0], (int32_t)(MIB / page));
    CHECK_EQ(data[MIB - 1], 0);
    CHECK_EQ(nk_mapping_commit(out[0], page), 0);
    CHECK_EQ(nk_mapping_attach(out[0], out), NK_MAPPING_FACTS);
    CHECK_EQ(out[4], page);
    CHECK_EQ(data[0], 7);
    data[MIB - 1] = 1;
    CHECK_EQ(nk_mapping_commit(out[0], (UINT64_C(1) << 46)), -EINVAL);
    CHECK_EQ(nk_mapping_commit(out[0] + 65536, page), -ESTALE);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

static void test_locked_pages(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();
    struct rlimit limit, none = {0, 0};
    int32_t result;

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 4, page, page, out), -EINVAL);
    CHECK_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    result = nk_mapping_create(0, NK_PAGES_SMALL, NK_LOCK, page, 8 * page, out);
    CHECK(result == NK_MAPPING_FACTS || result == -ENOLCK);
    if (result == NK_MAPPING_FACTS) {
        CHECK_EQ(nk_mapping_populate(out[0], 0, 8 * page), 0);
#ifndef __SANITIZE_ADDRESS__ /* which turns mlock into nothing */
        CHECK(status_kib("VmLck:") >= 9 * page / 1024);
#endif
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    }
    none.rlim_max = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    /* Root may lock beyond any limit. */
    result = nk_mapping_create(0, NK_PAGES_SMALL, NK_LOCK, page, page, out);
    CHECK(result == -ENOLCK || (result == NK_MAPPING_FACTS && nk_mapping_release(out[0], 1) == 0));
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

static void test_transparent_hugepages(void)
{
    uint64_t out[NK_MAPPING_FACTS], huge;
    int32_t result = nk_mapping_create(0, NK_PAGES_THP, 0, 2 * MIB, 8 * MIB, out);

    if (result == -ENOTSUP) {
        printf("# transparent hugepages are switched off\n");
        return;
    }
    CHECK_EQ(result, NK_MAPPING_FACTS);
    CHECK_EQ((out[1] + out[2]) % (2 * MIB), 0);
    CHECK_EQ(nk_mapping_populate(out[0], 0, 8 * MIB), 0);
    CHECK_EQ(nk_mapping_huge_bytes(out[0], 1, &huge), 1);
    CHECK(huge % (2 * MIB) == 0 && huge <= 8 * MIB);
    printf("# %llu of 8 MiB are huge\n", (unsigned long long)(huge / MIB));
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

/* An engine that gets no more mappings dies, so some are left to it; and a refusal is not told as want of memory. */
static void test_mappings_are_left_for_others(void)
{
    static uint64_t identities[40000];
    uint64_t out[NK_MAPPING_FACTS], most = 65530, count = 0;
    int32_t result = NK_MAPPING_FACTS;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");

    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%" SCNu64, &most), 1);
    fclose(file);
    if (most > 131072) {
        printf("skipped: vm.max_map_count is %" PRIu64 ", and so many mappings take too long\n", most);
        return;
    }
    while (count < 40000) {
        result = nk_mapping_create(0, NK_PAGES_SMALL, NK_RESERVE, small_page(), 2 * small_page(), out);
        if (result < 0)
            break;
        identities[count++] = out[0];
        CHECK_EQ(nk_mapping_commit(out[0], small_page()), 0);
    }
    CHECK_EQ(result, -EUSERS);
    CHECK(count > most / 8);
    CHECK((uint64_t)count_maps() < most * 3 / 4);
    CHECK_EQ(nk_mapping_release(identities[--count], 1), 0);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, small_page(), small_page(), out), NK_MAPPING_FACTS);
    identities[count++] = out[0];
    while (count > 0)
        CHECK_EQ(nk_mapping_release(identities[--count], NK_VIEWS_NEVER), 0);
}

int main(void)
{
    RUN(test_pages_are_on_the_node);
    RUN(test_bad_requests);
    RUN(test_ranges_and_identities_are_checked);
    RUN(test_an_attach_that_fails_holds_nothing);
    RUN(test_more_than_the_node_has_is_refused_untouched);
    RUN(test_a_thread_that_releases_gives_the_owner_word_back);
    RUN(test_a_thread_that_just_ends_is_accounted_for);
    RUN(test_many_threads_attach_and_release);
    RUN(test_what_is_pinned_is_kept_until_it_is_not);
    RUN(test_each_of_several_that_are_pinned_is_kept);
    RUN(test_what_nobody_saw_is_unmapped);
    RUN(test_a_reservation_is_committed_in_steps);
    RUN(test_locked_pages);
    RUN(test_transparent_hugepages);
    RUN(test_mappings_are_left_for_others);
    return 0;
}
