/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Affinities of threads by their OS thread ids, which the kernel gives to others once a thread is gone. */
#ifndef NK_THREAD_H
#define NK_THREAD_H

#include <stdint.h>

/* What CPUs a thread may run on; 0 is the calling one. mask has NK_MAX_MASK_WORDS words; as nk_affinity_get. */
int32_t nk_tid_cpus(int32_t tid, uint64_t *mask);

/*
 * Pin a thread; 0 is the calling one. To be called with the registry locked. part says whether a part of the mask will do,
 * and then whether it is only a part; before has NK_MAX_MASK_WORDS words and gets what it was. Returns the words of that
 * which matter; otherwise as nk_affinity_set.
 */
int32_t nk_tid_pin(int32_t tid, const uint64_t *mask, int32_t words, int32_t *part, uint64_t *before);

/* Take down whether the CPUs that a thread has now are numakit's, as how says. With the registry locked. */
void nk_tid_take_down(uint64_t identity, int32_t tid, int32_t how);

/*
 * Whether somebody else has narrowed a thread: it has neither all of home, nor what it got through numakit last, nor what
 * a cpuset has left of that within home. now gets its CPUs; both have NK_MAX_MASK_WORDS words. With the registry locked.
 */
int nk_tid_confined(uint64_t identity, int32_t tid, const uint64_t *home, uint64_t *now);

/* Whether no bit of a mask is outside of another one. */
int nk_mask_within(const uint64_t *mask, int32_t words, const uint64_t *other, int32_t other_words);

#endif
