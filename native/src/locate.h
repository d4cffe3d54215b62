/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NK_LOCATE_H
#define NK_LOCATE_H

/* The node of each page, at page boundaries, or -errno where there is none yet. Returns 0. -EPERM (seccomp), -ENOSYS. */
int nk_pages_locate(unsigned long count, void **pages, int *status);

#endif
