/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the helper itself does with words that processes share. */
#ifndef NK_FUTEX_H
#define NK_FUTEX_H

#include "registry.h"

#include <stdint.h>

/* Wake up to count sleepers of nk_futex_wait. Returns how many. */
int32_t nk_futex_wake_word(uint32_t *word, int32_t count);

/*
 * A thread is about to lose the memory of robust locks that it opened: those in one mapping, or all of them, and its
 * list with them. What it holds is left as the kernel leaves a dead thread's.
 */
void nk_robust_drop(struct nk_thread *thread, uint64_t mapping);
void nk_robust_end(struct nk_thread *thread);

#endif
