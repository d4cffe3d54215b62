/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the kernel's small text files. */
#ifndef NK_TEXT_H
#define NK_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Read a whole small file, NUL-terminated, at most capacity - 1 bytes. Returns the bytes read or -errno. */
int nk_read_text(const char *path, char *text, size_t capacity);

/* One unsigned number in a file of its own. Returns 0 or -errno (-ERANGE for "max" and other words). */
int nk_read_number(const char *path, uint64_t *value);

#endif
