/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names that one process of a user takes and the others look up, in a folder of small files.
 *
 * An *entry* is the file of a name; its *record* says where the memory is, and never changes. Whoever took the name
 * holds a lock on the entry, which goes with the process however that ends: an entry without that lock is *stale*,
 * means nothing, and is removed by whoever comes across it.
 */
#ifndef NK_NAMES_H
#define NK_NAMES_H

#include <stdint.h>

/* A file of a process, and what tells it from whatever else may have that number one day. */
struct nk_file {
    int32_t number;
    uint64_t device, inode;
};

enum { NK_HEADER_FILE, NK_DATA_FILE, NK_FILES };

struct nk_record {
    int32_t process; /* as its own PID namespace counts */
    uint64_t pid_namespace, time_namespace;
    struct nk_file files[NK_FILES];
    int32_t kind, node;
    uint64_t page_bytes, data_bytes;
};

/* A name that this process has taken. */
struct nk_name;

/* A name that was found: the folder and the entry, open. */
struct nk_entry {
    char file[80];
    int folder, fd;
};

/* 0, or -EINVAL. */
int nk_name_check(const char *name);

/* Take a name. -EEXIST it is taken; -EPERM the folder or the entry is not this user's own; -ENOMEM, and what the file
 * system says. */
int nk_name_take(const char *name, const struct nk_record *record, struct nk_name **taken);

/* Give it up. NULL is allowed. */
void nk_name_give(struct nk_name *taken);

/* Find a name; the entry has to be closed after success. -ENOENT nobody has it; -EPROTO another version's; -EPERM as
 * above. */
int nk_name_find(const char *name, struct nk_record *record, struct nk_entry *entry);

/* Whether that entry is still the one of its name, and its maker still has it. */
int nk_entry_holds(const struct nk_entry *entry);

void nk_entry_close(const struct nk_entry *entry);

#endif
