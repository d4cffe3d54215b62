/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_RECORD_H
#define NK_RECORD_H

#include "registry.h"

/* The calling thread's record, made on first use. NULL when there is no memory or no slot left. */
struct nk_thread *nk_thread_record(void);

/* The OS thread id of a thread, 0 when it is gone. With the registry locked, it stays until that is unlocked. */
int32_t nk_thread_tid(uint64_t identity);

/* Whether a thread that is gone was the last one with its slot, and all CPU time it used. With the registry locked. */
int nk_thread_spent(uint64_t identity, uint64_t *out);

/*
 * Take down what CPUs a thread got through numakit: words of them that matter, 0 for none of numakit's; and what that was,
 * as long as the registry is locked. All three with the registry locked.
 */
void nk_thread_take_down(uint64_t identity, const uint64_t *mask, int32_t words);
int32_t nk_thread_own(uint64_t identity, const uint64_t **mask);

/* Whether the thread with that OS thread id has a record. */
int nk_thread_is_known(int32_t tid);

#endif
