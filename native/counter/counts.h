/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is counted: for each section of a program, each named range of memory and each CPU.
 *
 * Sections nest. An access counts for the innermost one, and for the range that its line is of, which is 0 for what has no
 * name. Each CPU writes rows of its own, so that counting takes no atomic operation.
 */
#ifndef NK_COUNTS_H
#define NK_COUNTS_H

#include "caches.h"

#include <stdio.h>

#define NK_MAX_CPUS 32
#define NK_MAX_RANGES 256
#define NK_MAX_SECTIONS 256
#define NK_MAX_DEPTH 8
#define NK_NAME_BYTES 128

struct nk_counts {
    uint64_t loads, stores;
    uint64_t sources[NK_SOURCES];
    uint64_t upgrades, far_upgrades;
    uint64_t invalidations, far_invalidations;
};

struct nk_section {
    char name[NK_NAME_BYTES];
    uint64_t times;
    bool whole; /* that of a command, which is another one than what the command calls so */
    struct nk_counts (*rows)[NK_MAX_CPUS]; /* by range */
};

struct nk_book {
    struct nk_section sections[NK_MAX_SECTIONS];
    unsigned section_count;
    struct nk_section *open[NK_MAX_DEPTH];
    unsigned depth;
    unsigned left_open; /* of `open`, from its start: what had not ended when all of it did */
    char ranges[NK_MAX_RANGES][NK_NAME_BYTES]; /* 0 has none */
    uint64_t range_lines[NK_MAX_RANGES];
    /* Of what was said when it was named last: lines in all, and different ones. */
    uint64_t range_named[NK_MAX_RANGES], range_distinct[NK_MAX_RANGES];
    char **notes;
    size_t note_count, note_room;
    unsigned range_count;
    _Atomic uint8_t *range_of; /* by line */
    uint64_t lines;
};

int nk_book_init(struct nk_book *book, uint64_t lines);

/* Begins a section: one of the same name goes on. -ENOSPC when there are too many, or too many within each other. */
int nk_book_begin(struct nk_book *book, const char *name);

/* Begins the section of a whole command. -EINVAL when it is in another one. */
int nk_book_begin_whole(struct nk_book *book, const char *name);

/* Ends the innermost section. -EINVAL when there is none, or when it is that of a whole command. */
int nk_book_end(struct nk_book *book);

/* Ends all sections. Those of the program that were open are written as such; so is the command's, when it was `cut` off. */
void nk_book_end_all(struct nk_book *book, bool cut);

/* The section that counts now, or NULL. */
struct nk_section *nk_book_section(const struct nk_book *book);

/* The range of that name, which has no lines yet, or no longer; -ENOSPC when there are too many. */
int nk_book_range(struct nk_book *book, const char *name);

/* Says that a line is of a range, which has been named; of the last one that said so. */
void nk_book_name(struct nk_book *book, unsigned range, uint64_t line);

/* Puts a line into a range. */
void nk_book_add(struct nk_book *book, unsigned range, uint64_t line);

/* Counts an access. */
void nk_counts_add(struct nk_counts *counts, const struct nk_outcome *outcome, bool store);

/* Keeps a line of text. -ENOMEM. */
int nk_book_note(struct nk_book *book, const char *text);

/* Writes all of it as one JSON object, with the members that `more` adds, each after a comma. NULL: none. */
void nk_book_write(const struct nk_book *book, unsigned cpus, void (*more)(FILE *file), FILE *file);

#endif
