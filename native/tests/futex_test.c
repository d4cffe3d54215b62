/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#define DATA_BYTES (UINT64_C(64) << 10)

static uint64_t mapping;
static uint32_t *word;

static void *wake_soon(void *unused)
{
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(nk_mapping_attach(mapping, out), NK_MAPPING_FACTS);
    while (nk_futex_wake(mapping, 0, 1) == 0)
        usleep(1000);
    return unused;
}

static void test_a_sleeper_is_woken(void)
{
    pthread_t thread;
    int32_t result;
    double start;

    *word = 5;
    CHECK_EQ(nk_futex_wait(mapping, 0, 6, 50), -EAGAIN);
    start = now_ms();
    CHECK_EQ(nk_futex_wait(mapping, 0, 5, 20), -ETIMEDOUT);
    CHECK(now_ms() - start >= 20);
    CHECK_EQ(nk_futex_wait(mapping, 0, 5, 0), -ETIMEDOUT);
    CHECK_EQ(pthread_create(&thread, NULL, wake_soon, NULL), 0);
    while ((result = nk_futex_wait(mapping, 0, 5, 50)) == -ETIMEDOUT)
        ;
    CHECK_EQ(result, 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(nk_futex_wake(mapping, 0, INT_MAX), 0);
    CHECK_EQ(nk_futex_wake(mapping, 0, 0), 0);
}

static void test_bad_requests(void)
{
    static const uint64_t wrong[] = {1, 2, 3, DATA_BYTES, DATA_BYTES + 4096, DATA_BYTES - 2, UINT64_MAX,
                                     UINT64_MAX - 3};
    const uint64_t gone[] = {0, mapping + 1, mapping + 65536, UINT64_MAX};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_EQ(nk_futex_wait(mapping, wrong[i], 0, 1), -EINVAL);
        CHECK_EQ(nk_futex_wake(mapping, wrong[i], 1), -EINVAL);
    }
    CHECK_EQ(nk_futex_wait(mapping, DATA_BYTES - 4, 1, 1), -EAGAIN);
    CHECK_EQ(nk_futex_wait(mapping, 0, 0, -1), -EINVAL);
    CHECK_EQ(nk_futex_wait(mapping, 0, 0, NK_MAX_WAIT_MS + 1), -EINVAL);
    CHECK_EQ(nk_futex_wake(mapping, 0, -1), -EINVAL);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        CHECK_EQ(nk_futex_wait(gone[i], 0, 0, 1), -ESTALE);
        CHECK_EQ(nk_futex_wake(gone[i], 0, 1), -ESTALE);
    }
}

int main(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, DATA_BYTES, out), NK_MAPPING_FACTS);
    mapping = out[0];
    word = (uint32_t *)(uintptr_t)(out[1] + out[2]);
    RUN(test_a_sleeper_is_woken);
    RUN(test_bad_requests);
    CHECK_EQ(nk_mapping_release(mapping, 1), 0);
    return 0;
}
