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
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What others may know of the last thread that had a slot, by slot. */
struct card {
    uint64_t identity;
    int32_t tid;       /* 0 once it is gone */
    uint64_t spent_ns; /* all CPU time that it used, once it is gone */
    uint64_t *own;     /* the CPUs that it got through numakit last; kept for the next one with the slot */
    int32_t own_words; /* 0 when it got none, or somebody else's */
    int32_t own_capacity;
};

static struct nk_slots threads;
static struct card *cards;
static uint32_t card_count;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t record_key;
static int key_error;

/* The card of a slot that was taken; NULL when there is no memory. With the registry locked. */
static struct card *card_of(uint32_t slot)
{
    struct card *more;

    if (slot < card_count)
        return &cards[slot];
    more = realloc(cards, threads.capacity * sizeof *more);
    if (more == NULL)
        return NULL;
    memset(more + card_count, 0, (threads.capacity - card_count) * sizeof *more);
    cards = more;
    card_count = threads.capacity;
    return &cards[slot];
}

/* Takes a slot, with its card. Returns the identity, or 0. */
static uint64_t take_slot(int32_t tid)
{
    uint64_t identity;
    struct card *card;

    nk_registry_lock();
    identity = nk_slot_take(&threads);
    card = identity == 0 ? NULL : card_of(nk_slot_of(identity));
    if (card != NULL)
        *card = (struct card){.identity = identity, .tid = tid, .own = card->own, .own_capacity = card->own_capacity};
    else if (identity != 0)
        nk_slot_give(&threads, identity);
    nk_registry_unlock();
    return card == NULL ? 0 : identity;
}

static void give_slot(uint64_t identity, uint64_t spent_ns)
{
    nk_registry_lock();
    cards[nk_slot_of(identity)].tid = 0;
    cards[nk_slot_of(identity)].spent_ns = spent_ns;
    nk_slot_give(&threads, identity);
    nk_registry_unlock();
}

static void end_of_thread(void *data)
{
    struct nk_thread *thread = data;
    struct timespec spent = {0};

    /* The kernel looks at the list of locks after this: it must not lead into memory that is gone by then. */
    if (thread->end_robust != NULL)
        thread->end_robust(thread);
    if (thread->end_held != NULL)
        thread->end_held(thread);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    give_slot(thread->identity, (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec);
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
    thread->identity = take_slot(thread->tid);
    thread->slot = nk_slot_of(thread->identity);
    if (thread->identity == 0 || pthread_setspecific(record_key, thread) != 0) {
        if (thread->identity != 0)
            give_slot(thread->identity, 0);
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

int32_t nk_thread_tid(uint64_t identity)
{
    return nk_slot_valid(&threads, identity) ? cards[nk_slot_of(identity)].tid : 0;
}

int nk_thread_spent(uint64_t identity, uint64_t *out)
{
    uint32_t slot = nk_slot_of(identity);

    if (identity == 0 || slot >= card_count || cards[slot].identity != identity || cards[slot].tid != 0)
        return 0;
    *out = cards[slot].spent_ns;
    return 1;
}

int nk_thread_is_known(int32_t tid)
{
    for (uint32_t slot = 0; slot < card_count; slot++)
        if (cards[slot].tid == tid)
            return 1;
    return 0;
}

void nk_thread_take_down(uint64_t identity, const uint64_t *mask, int32_t words)
{
    struct card *card = nk_slot_valid(&threads, identity) ? &cards[nk_slot_of(identity)] : NULL;
    uint64_t *longer;

    if (card == NULL)
        return;
    card->own_words = 0;
    if (words > card->own_capacity) {
        longer = realloc(card->own, (size_t)words * sizeof *longer);
        if (longer == NULL)
            return; /* Then its CPUs count as somebody else's, which are never widened. */
        card->own = longer;
        card->own_capacity = words;
    }
    if (words > 0)
        memcpy(card->own, mask, (size_t)words * sizeof *mask);
    card->own_words = words;
}

int32_t nk_thread_own(uint64_t identity, const uint64_t **mask)
{
    if (!nk_slot_valid(&threads, identity))
        return 0;
    *mask = cards[nk_slot_of(identity)].own;
    return cards[nk_slot_of(identity)].own_words;
}
