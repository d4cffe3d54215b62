/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where other threads of this process run than the one that calls.
 *
 * The kernel knows threads by numbers, and gives a number to another thread, perhaps of another process, once its owner
 * is gone. A registered thread cannot be gone while the registry is locked: the last thing that it does is to lock the
 * registry itself, in order to leave it. So it is found and pinned in one hold of that lock.
 *
 * The runtime's own threads register nowhere. A folder below /proc/self/task that is kept open belongs to one thread for
 * ever: its name is read through it, and whether the thread still lives is asked through it again after it was pinned.
 * If so, nobody else had its number meanwhile. If not, the answer is -ESTALE: then, and only if the kernel has gone
 * through all of its numbers within these few microseconds, another thread has been pinned.
 */
#include "numakit.h"
#include "record.h"
#include "registry.h"
#include "thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASKS "/proc/self/task"

int32_t nk_thread_move(uint64_t thread, const uint64_t *mask, int32_t words, int32_t how, uint64_t *before)
{
    uint64_t now[NK_MAX_MASK_WORDS];
    int32_t part = how & NK_PIN_PART, tid, result;
    int confined;

    if (mask == NULL || before == NULL || words <= 0 || words > NK_MAX_MASK_WORDS)
        return -EINVAL;
    nk_registry_lock();
    tid = nk_thread_tid(thread);
    confined = tid != 0 && (how & NK_PIN_OWN) != 0 && nk_tid_confined(thread, tid, before, now);
    if (tid == 0)
        result = -ESTALE;
    else if (confined && !nk_mask_within(mask, words, now, NK_MAX_MASK_WORDS))
        result = -EACCES;
    else
        result = nk_tid_pin(tid, mask, words, &part, before);
    if (result >= 0)
        nk_tid_take_down(thread, tid, confined ? 0 : how); /* a part of what somebody gave is somebody's */
    nk_registry_unlock();
    return result;
}

/* The name of the thread whose folder it is, without its newline. Returns its length, or -errno. */
static int read_name(int folder, char *name, size_t capacity)
{
    int file = openat(folder, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t length;

    if (file < 0)
        return -errno;
    length = read(file, name, capacity - 1);
    if (length < 0)
        length = -errno;
    close(file);
    if (length <= 0)
        return length < 0 ? (int)length : -ESRCH;
    if (name[length - 1] == '\n')
        length--;
    name[length] = '\0';
    return (int)length;
}

static int is_one_of(const char *name, const char *names)
{
    for (; *names != '\0'; names += strlen(names) + 1)
        if (strncmp(name, names, strlen(names)) == 0)
            return 1;
    return 0;
}

/* Whether a mask of the greatest size has a bit that is not in another one. */
static int reaches_beyond(const uint64_t *mask, const uint64_t *other, int32_t words)
{
    for (int32_t word = 0; word < NK_MAX_MASK_WORDS; word++)
        if ((mask[word] & ~(word < words ? other[word] : 0)) != 0)
            return 1;
    return 0;
}

static int is_known(int32_t tid)
{
    int known;

    nk_registry_lock();
    known = nk_thread_is_known(tid);
    nk_registry_unlock();
    return known;
}

/* 1 when the thread was moved, 0 when it was not to be moved or there already, or -errno. */
static int32_t place(int folder, int32_t tid, const uint64_t *mask, int32_t words, int32_t grow)
{
    uint64_t before[NK_MAX_MASK_WORDS];
    int32_t had = nk_tid_cpus(tid, before), part = 0, result;

    while (words > 0 && mask[words - 1] == 0)
        words--;
    if (had == words && memcmp(before, mask, (size_t)words * sizeof *mask) == 0)
        return 0;
    if (grow != 0 && had >= 0 && reaches_beyond(before, mask, words))
        return 0;
    nk_registry_lock();
    /* One that has registered meanwhile is no thread of the runtime's. */
    result = had < 0 || nk_thread_is_known(tid) ? had : nk_tid_pin(tid, mask, words, &part, before);
    nk_registry_unlock();
    if (faccessat(folder, "comm", F_OK, 0) < 0)
        return -ESTALE;
    return result < 0 ? result : 1;
}

int32_t nk_threads_place(const uint64_t *mask, int32_t words, const char *names, int32_t grow, uint64_t *out,
                         uint64_t capacity)
{
    struct dirent *entry;
    uint64_t count = 0;
    DIR *tasks;

    if (mask == NULL || names == NULL || (out == NULL && capacity > 0) || words <= 0 || words > NK_MAX_MASK_WORDS)
        return -EINVAL;
    tasks = opendir(TASKS);
    if (tasks == NULL)
        return -errno;
    while ((entry = readdir(tasks)) != NULL) {
        uint64_t told[NK_PLACED_WORDS] = {0};
        int32_t tid = (int32_t)strtol(entry->d_name, NULL, 10);
        int folder = tid > 0 ? openat(dirfd(tasks), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        if (folder < 0)
            continue;
        if (read_name(folder, (char *)&told[2], 2 * sizeof *told) > 0 && is_one_of((char *)&told[2], names) &&
            tid != getpid() && !is_known(tid)) {
            told[0] = (uint64_t)tid;
            told[1] = (uint64_t)(int64_t)place(folder, tid, mask, words, grow);
            if (count < capacity)
                memcpy(out + count * NK_PLACED_WORDS, told, sizeof told);
            count++;
        }
        close(folder);
    }
    closedir(tasks);
    return (int32_t)count;
}
