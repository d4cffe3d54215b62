/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a program that is counted says of itself. All return 0, whether anybody counts or not. */
#ifndef NK_MARK_H
#define NK_MARK_H

#include <stdint.h>

/* Begins a section, within the one that is open. The first one finds the caches empty. */
int32_t nk_mark_begin(const char *name);
/* Ends the innermost section. */
int32_t nk_mark_end(void);
/* Adds a line of text to what is written. */
int32_t nk_mark_note(const char *text);
/* Names memory that is there: each of its pages has been written. What shares a line with it counts with it. */
int32_t nk_mark_range(const char *name, const volatile uint8_t *start, uint64_t bytes);

#endif
