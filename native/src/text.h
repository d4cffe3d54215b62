/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the kernel's small text files. */
#ifndef NK_TEXT_H
#define NK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than /proc/meminfo, of the system or of a node, has. */
#define NK_MEMINFO_BYTES 8192

/* Read a whole small file, NUL-terminated, at most capacity - 1 bytes. Returns the bytes read or -errno. */
int nk_read_text(const char *path, char *text, size_t capacity);

/* Of the rows of a meminfo, such as "Node 0 MemTotal:       5597396 kB": the bytes of the first that has a label. */
bool nk_text_bytes(const char *text, const char *label, uint64_t *bytes);

/* One unsigned number in a file of its own. Returns 0 or -errno (-ERANGE for "max" and other words). */
int nk_read_number(const char *path, uint64_t *value);

#endif
