/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runtime's own threads, as /proc names them. */
#include "numakit.h"
#include "record.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_named(long thread, const char *names)
{
    char path[64], name[64];

    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", thread);
    if (nk_read_text(path, name, sizeof name) < 0)
        return 0; /* it is gone */
    for (; *names != '\0'; names += strlen(names) + 1)
        if (strncmp(name, names, strlen(names)) == 0)
            return 1;
    return 0;
}

/* Whether a mask of the greatest size has a bit that is not in another one. */
static int reaches_beyond(const uint64_t *mask, const uint64_t *other, size_t words)
{
    for (size_t word = 0; word < NK_MAX_MASK_WORDS; word++)
        if ((mask[word] & ~(word < words ? other[word] : 0)) != 0)
            return 1;
    return 0;
}

/* Whether its affinity was a part of the mask and could be changed. */
static int widen(long thread, const uint64_t *mask, size_t bytes)
{
    uint64_t now[NK_MAX_MASK_WORDS] = {0}, before[NK_MAX_MASK_WORDS] = {0};
    long size = syscall(SYS_sched_getaffinity, thread, sizeof before, before);

    if (size < 0 || memcmp(before, mask, bytes) == 0 || reaches_beyond(before, mask, bytes / sizeof *mask))
        return 0;
    if (syscall(SYS_sched_setaffinity, thread, bytes, mask) < 0)
        return 0;
    if (syscall(SYS_sched_getaffinity, thread, sizeof now, now) >= 0 && memcmp(now, mask, bytes) == 0)
        return 1;
    syscall(SYS_sched_setaffinity, thread, size, before);
    return 0;
}

int32_t nk_threads_widen(const uint64_t *mask, int32_t words, const char *names)
{
    int32_t widened = 0;
    struct dirent *entry;
    DIR *tasks;

    if (mask == NULL || names == NULL || words <= 0 || words > NK_MAX_MASK_WORDS)
        return -EINVAL;
    tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return -errno;
    while ((entry = readdir(tasks)) != NULL) {
        long thread = strtol(entry->d_name, NULL, 10);

        /* Threads that were launched have the names that their launchers like. */
        if (thread > 0 && !nk_thread_is_known((int32_t)thread) && is_named(thread, names))
            widened += widen(thread, mask, (size_t)words * sizeof *mask);
    }
    closedir(tasks);
    return widened;
}
