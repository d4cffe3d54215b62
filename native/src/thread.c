/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a thread runs, and where its pages come from. */
#include "kernel.h"
#include "nodes.h"
#include "numakit.h"
#include "record.h"
#include "registry.h"
#include "thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <numaif.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int32_t words_that_matter(const uint64_t *mask, int32_t words)
{
    while (words > 0 && mask[words - 1] == 0)
        words--;
    return words;
}

static int32_t read_cpus(int32_t tid, uint64_t *mask, int32_t words)
{
    long bytes;

    memset(mask, 0, (size_t)words * sizeof *mask);
    /* The system call, not glibc's wrapper: it tells nothing less, and takes masks of any size. */
    bytes = syscall(SYS_sched_getaffinity, tid, (size_t)words * sizeof *mask, mask);
    if (bytes < 0)
        return -errno;
    return words_that_matter(mask, words);
}

int32_t nk_tid_cpus(int32_t tid, uint64_t *mask)
{
    return read_cpus(tid, mask, NK_MAX_MASK_WORDS);
}

int32_t nk_affinity_get(uint64_t *mask, int32_t words)
{
    return mask == NULL || words <= 0 || words > NK_MAX_MASK_WORDS ? -EINVAL : read_cpus(0, mask, words);
}

int nk_mask_within(const uint64_t *mask, int32_t words, const uint64_t *other, int32_t other_words)
{
    for (int32_t word = 0; word < words; word++)
        if ((mask[word] & ~(word < other_words ? other[word] : 0)) != 0)
            return 0;
    return 1;
}

int32_t nk_tid_pin(int32_t tid, const uint64_t *mask, int32_t words, int32_t *part, uint64_t *before)
{
    uint64_t after[NK_MAX_MASK_WORDS];
    int32_t will_do = *part, matter, old, now;

    *part = 0;
    if (mask == NULL || words <= 0 || words > NK_MAX_MASK_WORDS)
        return -EINVAL;
    matter = words_that_matter(mask, words);
    if (matter == 0)
        return -EINVAL;
    old = nk_tid_cpus(tid, before);
    if (old < 0)
        return old;
    if (syscall(SYS_sched_setaffinity, tid, (size_t)matter * sizeof *mask, mask) < 0)
        return errno == EINVAL ? -ENXIO : -errno;
    /* The kernel takes the part of the mask it likes and says nothing; where the cpuset has just changed, it takes all
     * of that. A thread half pinned is not pinned, unless the caller says that it is. */
    now = nk_tid_cpus(tid, after);
    if (now == matter && memcmp(after, mask, (size_t)matter * sizeof *mask) == 0)
        return old;
    *part = will_do != 0 && now > 0 && nk_mask_within(after, now, mask, matter);
    if (*part)
        return old;
    syscall(SYS_sched_setaffinity, tid, (size_t)old * sizeof *before, before);
    return -ENXIO;
}

void nk_tid_take_down(uint64_t identity, int32_t tid, int32_t how)
{
    uint64_t now[NK_MAX_MASK_WORDS];
    int32_t words = (how & NK_PIN_OWN) != 0 ? nk_tid_cpus(tid, now) : 0;

    nk_thread_take_down(identity, now, words > 0 ? words : 0);
}

int nk_tid_confined(uint64_t identity, int32_t tid, const uint64_t *home, uint64_t *now)
{
    const uint64_t *own = NULL;
    int32_t now_words = nk_tid_cpus(tid, now), own_words = nk_thread_own(identity, &own);
    int is_own = own_words > 0, is_narrowed = own_words > 0, is_home = 1;

    for (int32_t word = 0; word < NK_MAX_MASK_WORDS && now_words >= 0; word++) {
        uint64_t was = word < own_words ? own[word] : 0;

        is_own = is_own && now[word] == was;
        is_narrowed = is_narrowed && now[word] == (was & home[word]);
        is_home = is_home && (home[word] & ~now[word]) == 0;
    }
    return now_words >= 0 && !is_own && !is_narrowed && !is_home;
}

int32_t nk_affinity_set(const uint64_t *mask, int32_t words, int32_t how)
{
    struct nk_thread *thread = nk_thread_record(); /* Without one nobody else can move it. */
    uint64_t before[NK_MAX_MASK_WORDS];
    int32_t part = how & NK_PIN_PART, result;

    /* Another thread may be about to move this one: each has to see what it has set itself. */
    nk_registry_lock();
    result = nk_tid_pin(0, mask, words, &part, before);
    if (result >= 0 && thread != NULL)
        nk_tid_take_down(thread->identity, 0, how);
    nk_registry_unlock();
    return result < 0 ? result : part;
}

int32_t nk_affinity_own(uint64_t *mask, int32_t words)
{
    struct nk_thread *thread = nk_thread_record();
    const uint64_t *own = NULL;
    int32_t count;

    if (mask == NULL || words <= 0)
        return -EINVAL;
    if (thread == NULL)
        return 0;
    nk_registry_lock();
    count = nk_thread_own(thread->identity, &own);
    if (count > words)
        count = -EINVAL;
    if (count > 0)
        memcpy(mask, own, (size_t)count * sizeof *own);
    nk_registry_unlock();
    return count;
}

int32_t nk_policy_set(int32_t policy, int32_t node)
{
    unsigned long nodes[NK_NODE_WORDS] = {0};
    int mode = policy == NK_POLICY_PREFER ? MPOL_PREFERRED : MPOL_BIND;

    if (policy == NK_POLICY_DEFAULT)
        return set_mempolicy(MPOL_DEFAULT, NULL, 0) < 0 ? -errno : 0;
    if ((policy != NK_POLICY_PREFER && policy != NK_POLICY_BIND) || node < 0 || node >= NK_MAX_NODES)
        return -EINVAL;
    nk_mask_add(nodes, node);
    return set_mempolicy(mode, nodes, NK_NODE_BITS) < 0 ? -errno : 0;
}

int32_t nk_policy_save(uint64_t *out)
{
    unsigned long nodes[NK_NODE_WORDS] = {0};
    int mode = 0;

    if (out == NULL)
        return -EINVAL;
    if (get_mempolicy(&mode, nodes, NK_NODE_BITS, NULL, 0) < 0)
        return -errno;
    out[0] = (uint64_t)(unsigned)mode;
    memcpy(out + 1, nodes, sizeof nodes);
    return NK_POLICY_WORDS;
}

int32_t nk_policy_restore(const uint64_t *saved)
{
    unsigned long nodes[NK_NODE_WORDS];

    if (saved == NULL || saved[0] > INT32_MAX)
        return -EINVAL;
    memcpy(nodes, saved + 1, sizeof nodes);
    return set_mempolicy((int)saved[0], nodes, NK_NODE_BITS) < 0 ? -errno : 0;
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
