/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses that native code may still use after their mapping is gone: see quarantine.c. */
#ifndef NK_QUARANTINE_H
#define NK_QUARANTINE_H

#include <stdint.h>

/* Pages that somebody has mapped, and free addresses next to them that nobody else needs to get. */
struct nk_leftover {
    char *start;
    uint64_t bytes;
    uint64_t free_before;
    uint64_t free_behind;
};

/*
 * Replace mapped pages by private ones that nobody has touched. Returns 0 or -errno, and then the old pages are there
 * still, or a part of them.
 */
int nk_blank(char *start, uint64_t bytes);

/*
 * Give the pages back to the system now and keep the addresses: for ever, or until the quarantine is over its bounds.
 * Never fails: where the kernel refuses, what is mapped stays mapped, without its pages if they are private.
 */
void nk_quarantine_take(const struct nk_leftover *leftover, int for_ever);

/* Whether a part of a range is in quarantine, or kept for ever. */
int nk_quarantine_has(const char *start, uint64_t bytes);

/* How many mappings the kernel lets a process have. */
uint64_t nk_max_maps(void);

#endif
