/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The owner words of a mapping's header: which thread allocates from it.
 *
 *   header + 0   in memory of one process: slot + 1 of the thread; between processes: its OS thread id
 *   header + 4   between processes: when that thread began, in clock ticks; ids are given out again
 *
 * Both are changed as one. Only numbers are read from there, never believed to be more.
 */
#ifndef NK_OWNER_H
#define NK_OWNER_H

#include "pages.h"
#include "registry.h"

/* Take a mapping between processes for the calling thread. Returns 0, or the OS thread id of the one that has it. */
int32_t nk_owner_take(const struct nk_range *range, struct nk_thread *thread);

/* Let go of a mapping's owner words, if that thread has them. */
void nk_owner_drop(const struct nk_range *range, const struct nk_thread *thread);

#endif
