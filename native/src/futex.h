/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the helper itself does with words that processes share. */
#ifndef NK_FUTEX_H
#define NK_FUTEX_H

#include <stdint.h>

/* Wake up to count sleepers of nk_futex_wait. Returns how many. */
int32_t nk_futex_wake_word(uint32_t *word, int32_t count);

#endif
