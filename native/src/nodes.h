/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Masks of nodes as the kernel wants them. */
#ifndef NK_NODES_H
#define NK_NODES_H

#include <stddef.h>
#include <stdint.h>

/* No kernel has more. */
#define NK_MAX_NODES 1024
#define NK_NODE_WORD_BITS (8 * sizeof(unsigned long))
#define NK_NODE_WORDS (NK_MAX_NODES / NK_NODE_WORD_BITS)
/* How long a mask is said to be: the kernel reads one bit less than it is told. */
#define NK_NODE_BITS (NK_MAX_NODES + 1)

static inline void nk_mask_add(unsigned long *mask, int32_t node)
{
    mask[(size_t)node / NK_NODE_WORD_BITS] |= 1ul << ((size_t)node % NK_NODE_WORD_BITS);
}

static inline int nk_mask_has(const unsigned long *mask, int32_t node)
{
    return (mask[(size_t)node / NK_NODE_WORD_BITS] >> ((size_t)node % NK_NODE_WORD_BITS) & 1) != 0;
}

/* A caller's mask into one of NK_NODE_WORDS words that are 0. Returns 0. -EINVAL it is empty; -ENODEV a node from
 * NK_MAX_NODES on. */
int nk_mask_read(const uint64_t *nodes, int32_t words, unsigned long *mask);

#endif
