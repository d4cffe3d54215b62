/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What tools show of a thread: its name, its CPU time, its niceness.
 *
 * Others are asked about by their identities. The OS gives thread ids to new threads, also of other processes; one that
 * has not left the registry cannot end while that is locked, so its id is its own until then.
 */
#include "numakit.h"
#include "record.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define NAME_BYTES 16
#define NICE_LEAST (-20)
#define NICE_MOST 19
/* linux/posix-timers.h: the clock of one thread, by what the scheduler has counted in nanoseconds. */
#define CLOCK_OF_THREAD 6

int32_t nk_thread_rename(const char *name)
{
    if (name == NULL || strnlen(name, NAME_BYTES) == NAME_BYTES)
        return -EINVAL;
    return prctl(PR_SET_NAME, name, 0, 0, 0) < 0 ? -errno : 0;
}

/* Returns 1, or -errno. */
static int32_t clock_of(int32_t tid, uint64_t *out)
{
    clockid_t clock = (clockid_t)(~(uint32_t)tid << 3 | CLOCK_OF_THREAD);
    struct timespec spent;

    if (clock_gettime(clock, &spent) < 0)
        return -errno;
    *out = (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
    return 1;
}

int32_t nk_thread_cpu_time(uint64_t thread, uint64_t *out)
{
    int32_t result, tid;

    if (out == NULL)
        return -EINVAL;
    nk_registry_lock();
    tid = nk_thread_tid(thread);
    if (tid != 0)
        result = clock_of(tid, out);
    else
        result = nk_thread_spent(thread, out) ? 0 : -ESTALE;
    nk_registry_unlock();
    return result;
}

int32_t nk_thread_nice(uint64_t thread, int32_t *out)
{
    int32_t result = -ESTALE, tid;

    if (out == NULL)
        return -EINVAL;
    nk_registry_lock();
    tid = nk_thread_tid(thread);
    if (tid != 0) {
        errno = 0;
        *out = getpriority(PRIO_PROCESS, (id_t)tid);
        result = errno != 0 ? -errno : 1;
    }
    nk_registry_unlock();
    return result;
}

int32_t nk_thread_renice(uint64_t thread, int32_t nice)
{
    int32_t result = -ESTALE, tid;

    if (nice < NICE_LEAST || nice > NICE_MOST)
        return -EINVAL;
    nk_registry_lock();
    tid = nk_thread_tid(thread);
    if (tid != 0)
        result = setpriority(PRIO_PROCESS, (id_t)tid, nice) < 0 ? -errno : 0;
    nk_registry_unlock();
    return result;
}
