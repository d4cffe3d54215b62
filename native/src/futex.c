/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sleeping on a word that processes share.
 *
 * The thread's own hold keeps the memory mapped while it sleeps: only the thread itself, or its end, lets go. Never the
 * private kind of futex: it knows a word by its address, which is another one in each process.
 */
#include "futex.h"
#include "numakit.h"
#include "table.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int word_at(uint64_t mapping, uint64_t offset, uint32_t **word)
{
    char *at;
    int error;

    if (offset % sizeof **word != 0)
        return -EINVAL;
    error = nk_mapping_at(mapping, offset, sizeof **word, &at);
    *word = (uint32_t *)(void *)at;
    return error;
}

int32_t nk_futex_wait(uint64_t mapping, uint64_t offset, int32_t expected, int32_t timeout_ms)
{
    struct timespec timeout = {.tv_nsec = timeout_ms * 1000000L};
    uint32_t *word;
    int error;

    if (timeout_ms < 0 || timeout_ms > NK_MAX_WAIT_MS)
        return -EINVAL;
    error = word_at(mapping, offset, &word);
    if (error < 0)
        return error;
    if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0) == 0)
        return 0;
    return errno == EINTR ? 0 : -errno;
}

int32_t nk_futex_wake_word(uint32_t *word, int32_t count)
{
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);

    return woken < 0 ? -errno : (int32_t)woken;
}

int32_t nk_futex_wake(uint64_t mapping, uint64_t offset, int32_t count)
{
    uint32_t *word;
    int error;

    if (count < 0)
        return -EINVAL;
    error = word_at(mapping, offset, &word);
    if (error < 0)
        return error;
    /* The kernel wakes one when it is asked for none. */
    return count == 0 ? 0 : nk_futex_wake_word(word, count);
}
