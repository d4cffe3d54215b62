/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads: who they are, when they are gone, where they run and where their pages come from.
 *
 * A thread's end is told by a destructor of thread-specific data. It runs on the dying thread itself, after the
 * runtime has left its code for good, whichever way the thread came to its end; so nobody has to poll the kernel for
 * thread ids (which it reuses), and a thread that nobody launched through numakit is accounted for as well.
 */
#include "futex.h"
#include "numakit.h"
#include "registry.h"

#include <dlfcn.h>
#include <errno.h>
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#endif

#define NK_NODES_MAX 1024

static struct nk_slots threads;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t record_key;
static int key_error;

static void end_of_thread(void *data)
{
    struct nk_thread *thread = data;

    /* The kernel looks at the list of locks after this: it must not lead into memory that is gone by then. */
    nk_robust_end(thread);
    nk_mapping_release_all(thread);
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

static int32_t words_that_matter(const uint64_t *mask, int32_t words)
{
    while (words > 0 && mask[words - 1] == 0)
        words--;
    return words;
}

int32_t nk_affinity_get(uint64_t *mask, int32_t words)
{
    long bytes;

    if (mask == NULL || words <= 0 || words > NK_MASK_WORDS_MAX)
        return -EINVAL;
    memset(mask, 0, (size_t)words * sizeof *mask);
    /* The system call, not glibc's wrapper: it tells nothing less, and takes masks of any size. */
    bytes = syscall(SYS_sched_getaffinity, 0, (size_t)words * sizeof *mask, mask);
    if (bytes < 0)
        return -errno;
    return words_that_matter(mask, words);
}

int32_t nk_affinity_set(const uint64_t *mask, int32_t words)
{
    uint64_t before[NK_MASK_WORDS_MAX], after[NK_MASK_WORDS_MAX];
    int32_t matter, old, now;

    if (mask == NULL || words <= 0 || words > NK_MASK_WORDS_MAX)
        return -EINVAL;
    matter = words_that_matter(mask, words);
    if (matter == 0)
        return -EINVAL;
    old = nk_affinity_get(before, NK_MASK_WORDS_MAX);
    if (old < 0)
        return old;
    if (syscall(SYS_sched_setaffinity, 0, (size_t)matter * sizeof *mask, mask) < 0)
        return errno == EINVAL ? -ENXIO : -errno;
    /* The kernel takes the part of the mask it likes and says nothing; a thread half pinned is not pinned. */
    now = nk_affinity_get(after, NK_MASK_WORDS_MAX);
    if (now == matter && memcmp(after, mask, (size_t)matter * sizeof *mask) == 0)
        return 0;
    syscall(SYS_sched_setaffinity, 0, (size_t)old * sizeof *before, before);
    return -ENXIO;
}

int32_t nk_policy_set(int32_t policy, int32_t node)
{
    unsigned long nodes[NK_NODES_MAX / (8 * sizeof(unsigned long))] = {0};
    int mode = policy == NK_POLICY_PREFER ? MPOL_PREFERRED : MPOL_BIND;

    if (policy == NK_POLICY_DEFAULT)
        return set_mempolicy(MPOL_DEFAULT, NULL, 0) < 0 ? -errno : 0;
    if ((policy != NK_POLICY_PREFER && policy != NK_POLICY_BIND) || node < 0 || node >= NK_NODES_MAX)
        return -EINVAL;
    nodes[(size_t)node / (8 * sizeof *nodes)] |= 1ul << ((size_t)node % (8 * sizeof *nodes));
    /* The kernel reads one bit less than it is told. */
    return set_mempolicy(mode, nodes, NK_NODES_MAX + 1) < 0 ? -errno : 0;
}

int32_t nk_cpu_current(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? -errno : cpu;
}

int32_t nk_thread_yield(void)
{
    return sched_yield() < 0 ? -errno : 0;
}

static char *thread_pointer(void)
{
#if defined(__x86_64__)
    char *pointer;

    /* __builtin_thread_pointer needs GCC 11 here. */
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
#else
    return __builtin_thread_pointer();
#endif
}

int32_t nk_thread_rseq(uint64_t *out)
{
    /* Looked up at run time: a link-time reference would make the library unusable with a C library before 2.35. */
    const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
    const unsigned int *size = dlsym(RTLD_DEFAULT, "__rseq_size");
    unsigned long feature_bytes = getauxval(AT_RSEQ_FEATURE_SIZE);

    if (offset == NULL || size == NULL || *size == 0)
        return -ENOSYS;
    out[0] = (uint64_t)(uintptr_t)(thread_pointer() + *offset);
    /* __rseq_size tells what glibc knows of, the auxiliary vector what the kernel keeps up to date; 32 bytes are
     * registered in any case. */
    if (feature_bytes < 20)
        feature_bytes = 20;
    return (int32_t)(feature_bytes < 32 ? feature_bytes : 32);
}
