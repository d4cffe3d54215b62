/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_RECORD_H
#define NK_RECORD_H

#include "registry.h"

/* The calling thread's record, made on first use. NULL when there is no memory or no slot left. */
struct nk_thread *nk_thread_record(void);

#endif
