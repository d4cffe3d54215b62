/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program that is counted says of itself. All return 0, whether anybody counts or not.
 *
 * Names are UTF-8 of 1 to 127 bytes.
 */
#ifndef NK_MARK_H
#define NK_MARK_H

#include <stdint.h>

/* Begins a section, within the one that is open. The first one finds the caches empty. */
int32_t nk_mark_begin(const char *name);
/* Ends the innermost section. One too many ends the guest, with a message. */
int32_t nk_mark_end(void);
/* Adds a line of text to what is written: the first 127 bytes, and no part of a letter. */
int32_t nk_mark_note(const char *text);
/*
 * Names memory that is there: each of its pages has been written. What shares a line with it counts with it. No bytes name
 * nothing. -EINVAL when it would reach beyond the last address.
 */
int32_t nk_mark_range(const char *name, const volatile uint8_t *start, uint64_t bytes);

/* The section that a whole command is. Only nk_mark_done ends it, with all that are open within it. */
int32_t nk_mark_whole(const char *name);
int32_t nk_mark_done(void);

#endif
