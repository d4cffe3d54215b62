/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Locks that the kernel marks when their owner dies, in whichever process, and however.
 *
 * While a lock is taken or given back it is "pending": should the thread die then, the kernel looks at its word, on the
 * list or not, and wakes a sleeper when it finds it just given back. That is why a word cannot be taken in JavaScript.
 *
 * Order at a thread's end: its locks are dropped (as the kernel would), the C library's list is put back, and only then
 * its mappings go and does the kernel walk.
 */
#include "robust.h"
#include "futex.h"
#include "record.h"
#include "robust_list.h"
#include "table.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No thread has this TID: a lock that an heir gave back as the dead owner had left it. */
#define POISONED (FUTEX_OWNER_DIED | FUTEX_TID_MASK)

static int check_home(const struct nk_robust *robust, struct lock *lock)
{
    uint32_t home = __atomic_load_n(&lock->home, __ATOMIC_RELAXED);

    if (home == robust->home || robust->home == 0)
        return 0;
    if (home == 0 && __atomic_compare_exchange_n(&lock->home, &home, robust->home, 0, __ATOMIC_SEQ_CST,
                                                 __ATOMIC_SEQ_CST))
        return 0;
    return home == robust->home ? 0 : -EXDEV;
}

/*
 * Whether a word's owner can no longer give it back. For words that the kernel did not mark because their nodes were
 * overwritten: it marks before it forgets a TID. A TID that was given to another thread meanwhile looks alive; this
 * thread's own is that of an earlier one, as a process maps shared memory once and what it holds is known.
 */
static int owner_is_gone(const struct nk_robust *robust, uint32_t owner)
{
    return owner == robust->tid || (syscall(SYS_tkill, owner, 0) < 0 && errno == ESRCH);
}

/* Give up a lock: as it is, or with the mark of the dead. Returns the word that is left; -1 when it was not this
 * thread's any more. */
static int64_t give_back(struct nk_robust *robust, struct opened *opened, int died)
{
    uint32_t *word = &opened->lock->word, seen, left;

    nk_list_pending(robust, opened->lock);
    nk_list_remove(robust, opened);
    seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    do {
        if ((seen & FUTEX_TID_MASK) != robust->tid) {
            nk_list_pending(robust, NULL);
            return -1;
        }
        if (died)
            left = (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        else
            left = (seen & FUTEX_OWNER_DIED) != 0 ? POISONED : 0;
    } while (!__atomic_compare_exchange_n(word, &seen, left, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    /* Nobody will give a poisoned one back: all have to hear of it now. */
    if ((seen & FUTEX_WAITERS) != 0)
        (void)nk_futex_wake_word(word, left == POISONED ? INT_MAX : 1);
    nk_list_pending(robust, NULL);
    return left;
}

/* The thread ends: its list goes with it. */
static void end_list(struct nk_thread *thread)
{
    struct nk_robust *robust = thread->robust;

    while (robust->held_count > 0)
        (void)give_back(robust, &robust->opened[robust->held[robust->held_count - 1]], 1);
    nk_list_free(thread);
}

int32_t nk_robust_open(uint64_t mapping, uint64_t offset)
{
    struct nk_thread *thread = nk_thread_record();
    struct nk_robust *robust;
    char *at;
    int error;

    if (thread == NULL)
        return -EAGAIN;
    if (offset % NK_ROBUST_BYTES != 0)
        return -EINVAL;
    error = nk_mapping_at(mapping, offset, NK_ROBUST_BYTES, &at);
    if (error == 0)
        error = nk_list_of(thread, &robust);
    if (error == 0)
        error = check_home(robust, (struct lock *)(void *)at);
    if (error < 0)
        return error;
    thread->end_robust = end_list;
    return nk_list_enter(robust, mapping, offset, (struct lock *)(void *)at);
}

/* With the lock pending. Returns as nk_robust_acquire. */
static int32_t take(const struct nk_robust *robust, const struct opened *opened, uint32_t flags)
{
    uint32_t *word = &opened->lock->word, seen = __atomic_load_n(word, __ATOMIC_RELAXED), taken;

    do {
        uint32_t owner = seen & FUTEX_TID_MASK;

        taken = robust->tid | (seen & (FUTEX_WAITERS | FUTEX_OWNER_DIED)) | flags;
        if (owner == (POISONED & FUTEX_TID_MASK))
            return -ENOTRECOVERABLE;
        if (owner != 0) {
            if (!owner_is_gone(robust, owner))
                return 0;
            taken |= FUTEX_OWNER_DIED;
        }
    } while (!__atomic_compare_exchange_n(word, &seen, taken, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return (taken & FUTEX_OWNER_DIED) != 0 ? 2 : 1;
}

int32_t nk_robust_acquire(int32_t lock, int32_t waited)
{
    struct nk_thread *thread = nk_thread_record();
    struct nk_robust *robust;
    struct opened *opened;
    int32_t result;

    if (thread == NULL)
        return -EAGAIN;
    robust = thread->robust;
    opened = nk_list_find(robust, lock);
    if (opened == NULL)
        return -ESTALE;
    if ((waited & ~1) != 0)
        return -EINVAL;
    if (opened->held)
        return -EDEADLK;
    if (robust->held_count == NK_MAX_ROBUST_HELD)
        return -ENOLCK;
    nk_list_pending(robust, opened->lock);
    result = take(robust, opened, waited ? FUTEX_WAITERS : 0);
    if (result > 0)
        nk_list_add(robust, opened);
    nk_list_pending(robust, NULL);
    return result;
}

int32_t nk_robust_release(int32_t lock)
{
    struct nk_thread *thread = nk_thread_record();
    struct opened *opened;
    int64_t left;

    if (thread == NULL)
        return -EAGAIN;
    opened = nk_list_find(thread->robust, lock);
    if (opened == NULL)
        return -ESTALE;
    if (!opened->held)
        return -EPERM;
    left = give_back(thread->robust, opened, 0);
    return left < 0 ? -EPERM : left == POISONED;
}

void nk_robust_drop(struct nk_thread *thread, uint64_t mapping)
{
    struct nk_robust *robust = thread->robust;

    for (uint32_t i = 0; robust != NULL && i < robust->capacity; i++) {
        struct opened *opened = &robust->opened[i];

        if (opened->mapping != mapping || mapping == 0)
            continue;
        if (opened->held)
            (void)give_back(robust, opened, 1);
        opened->mapping = 0;
        opened->serial++;
    }
}
