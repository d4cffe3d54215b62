/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What becomes of a thread's robust locks when their memory goes. */
#ifndef NK_ROBUST_H
#define NK_ROBUST_H

#include "registry.h"

#include <stdint.h>

/* A thread is about to let go of a mapping: the robust locks in it that it holds are left as the kernel leaves a dead
 * thread's. */
void nk_robust_drop(struct nk_thread *thread, uint64_t mapping);

#endif
