/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The records of threads: made on first use, gone when the thread is.
 *
 * A thread's end is told by a destructor of thread-specific data. It runs on the dying thread itself, after the
 * runtime has left its code for good, whichever way the thread came to its end; so nobody has to poll the kernel for
 * thread ids (which it reuses), and a thread that nobody launched through numakit is accounted for as well.
 */
#include "record.h"
#include "numakit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct nk_slots threads;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t record_key;
static int key_error;

static void end_of_thread(void *data)
{
    struct nk_thread *thread = data;

    /* The kernel looks at the list of locks after this: it must not lead into memory that is gone by then. */
    if (thread->end_robust != NULL)
        thread->end_robust(thread);
    if (thread->end_held != NULL)
        thread->end_held(thread);
    nk_registry_lock();
    nk_slot_give(&threads, thread->identity);
    nk_registry_unlock();
    free(thread->held);
    free(thread);
}

static void make_key(void)
{
    key_error = pthread_key_create(&record_key, end_of_thread);
}

struct nk_thread *nk_thread_record(void)
{
    struct nk_thread *thread;

    pthread_once(&key_once, make_key);
    if (key_error != 0)
        return NULL;
    thread = pthread_getspecific(record_key);
    if (thread != NULL)
        return thread;
    thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->tid = (int32_t)syscall(SYS_gettid);
    nk_registry_lock();
    thread->identity = nk_slot_take(&threads);
    nk_registry_unlock();
    thread->slot = nk_slot_of(thread->identity);
    if (thread->identity == 0 || pthread_setspecific(record_key, thread) != 0) {
        if (thread->identity != 0) {
            nk_registry_lock();
            nk_slot_give(&threads, thread->identity);
            nk_registry_unlock();
        }
        free(thread);
        return NULL;
    }
    return thread;
}

int32_t nk_thread_self(uint64_t *out)
{
    struct nk_thread *thread = nk_thread_record();

    if (thread == NULL)
        return -EAGAIN;
    out[0] = thread->identity;
    out[1] = thread->slot;
    out[2] = (uint64_t)thread->tid;
    return 3;
}

int32_t nk_thread_alive(uint64_t thread)
{
    int32_t alive;

    nk_registry_lock();
    alive = nk_slot_valid(&threads, thread);
    nk_registry_unlock();
    return alive;
}
