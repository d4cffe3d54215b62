/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ranges whose last holder has let go while a runtime still kept a buffer of them from being detached.
 *
 * Such a buffer is not lost: its thread detaches it later, and says so. Until then the range is plain memory, as a retired
 * one; from then on it is in quarantine, as others.
 */
#ifndef NK_PINNED_H
#define NK_PINNED_H

#include "pages.h"

#include <stdint.h>

/* Remember a range with so many pinned buffers, whose pages are yet to go. Registry locked. Returns 0 or -ENOMEM. */
int nk_pinned_add(uint64_t identity, const struct nk_range *range, uint32_t buffers);

/*
 * Its pages are gone, or one of its buffers is pinned no more. Registry locked. Returns 1 when that was the last thing to
 * come: *range is to be put in quarantine, and is remembered no more; 0 when more is to come; -ESTALE.
 */
int nk_pinned_settle(uint64_t identity, struct nk_range *range);

#endif
