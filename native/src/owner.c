/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In one process a thread that ends lets go of what it owns. Between processes nobody may be left to do so: then the
 * next one who asks finds that the owner is gone.
 */
#include "owner.h"
#include "text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* When a thread began, in clock ticks, as far as 32 bits go; 0 when nobody says. *dead: it is a zombie. */
static uint32_t birth_of(int32_t tid, bool *dead)
{
    char path[64], text[1024], *at;

    *dead = false;
    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    if (nk_read_text(path, text, sizeof text) < 0)
        return 0;
    /* "7 (any name) S 1 …": the state is the third field, the time of birth the 22nd. */
    at = strrchr(text, ')');
    if (at == NULL || at[1] == 0)
        return 0;
    *dead = at[2] == 'Z' || at[2] == 'X';
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : (uint32_t)strtoull(at + 1, NULL, 10);
}

static uint64_t owner_word(int32_t tid, uint32_t birth)
{
    uint32_t parts[2] = {(uint32_t)tid, birth};
    uint64_t word;

    memcpy(&word, parts, sizeof word);
    return word;
}

/* Without /proc, or where it shows another PID namespace, only that a thread of that id lives can be known. */
static bool is_gone(uint64_t word)
{
    uint32_t parts[2], birth;
    bool dead;

    memcpy(parts, &word, sizeof word);
    if ((int32_t)parts[0] <= 0 || (syscall(SYS_tkill, parts[0], 0) < 0 && errno == ESRCH))
        return true;
    birth = birth_of((int32_t)parts[0], &dead);
    return parts[1] != 0 && birth != 0 && (dead || birth != parts[1]);
}

int32_t nk_owner_take(const struct nk_range *range, struct nk_thread *thread)
{
    uint64_t *word = (uint64_t *)(void *)range->header, seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    bool dead;

    if (thread->owner == 0)
        thread->owner = owner_word(thread->tid, birth_of(thread->tid, &dead));
    while (seen != thread->owner) {
        if (seen != 0 && !is_gone(seen)) {
            int32_t tid;

            memcpy(&tid, &seen, sizeof tid);
            return tid;
        }
        if (__atomic_compare_exchange_n(word, &seen, thread->owner, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            break;
    }
    return 0;
}

void nk_owner_drop(const struct nk_range *range, const struct nk_thread *thread)
{
    uint32_t slot = thread->slot + 1;
    uint64_t word = thread->owner;

    if (!nk_range_shared(range))
        __atomic_compare_exchange_n((uint32_t *)(void *)range->header, &slot, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    else if (word != 0)
        __atomic_compare_exchange_n((uint64_t *)(void *)range->header, &word, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
