/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The opponents of bench/memory.ts in C. Each function runs `count` operations and writes the nanoseconds that one
 * took, times 1000, to out[0] (an integer, as the runtimes' foreign calls like it). Returns 0 or -errno.
 */
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define MPOL_BIND 2

/* Keeps a pointer from being optimised away. */
static void use(void *pointer)
{
    __asm__ volatile("" : : "r"(pointer) : "memory");
}

struct bump {
    uint32_t top, limit;
    char *data;
};

/* Not inlined: what a caller in another translation unit pays, with the same checks as arena.alloc. */
static __attribute__((noinline)) void *bump_alloc(struct bump *bump, uint64_t size)
{
    uint32_t top = bump->top, next = top + (uint32_t)((size - 1) >> 4) + 1;

    if (size == 0 || size > UINT32_MAX || next > bump->limit)
        return NULL;
    bump->top = next;
    return bump->data + (uint64_t)top * 16;
}

API int32_t bench_bump(int32_t count, int32_t size, uint64_t *out);
API int32_t bench_getcpu(int32_t count, uint64_t *out);
API int32_t bench_malloc_pair(int32_t count, int32_t size, uint64_t *out);
API int32_t bench_malloc_alive(int32_t count, int32_t size, int32_t alive, uint64_t *out);

API int32_t bench_bump(int32_t count, int32_t size, uint64_t *out)
{
    struct bump bump = {.limit = 1u << 24, .data = malloc((size_t)16 << 24)};
    uint64_t start_ns = now_ns();

    if (bump.data == NULL)
        return -ENOMEM;
    for (int32_t i = 0; i < count; i++) {
        void *block = bump_alloc(&bump, (uint64_t)size);

        if (block == NULL) {
            bump.top = 0;
            block = bump_alloc(&bump, (uint64_t)size);
        }
        use(block);
    }
    tell(start_ns, count, out);
    free(bump.data);
    return 0;
}

API int32_t bench_malloc_pair(int32_t count, int32_t size, uint64_t *out)
{
    uint64_t start_ns = now_ns();

    for (int32_t i = 0; i < count; i++) {
        void *block = malloc((size_t)size);

        use(block);
        free(block);
    }
    tell(start_ns, count, out);
    return 0;
}

/* `alive` blocks are taken and then all given back, over and over: what an arena's alloc and reset do. */
API int32_t bench_malloc_alive(int32_t count, int32_t size, int32_t alive, uint64_t *out)
{
    void **blocks = calloc((size_t)alive, sizeof *blocks);
    uint64_t start_ns;

    if (blocks == NULL)
        return -ENOMEM;
    /* Or glibc gives the top of its heap back to the kernel in every round, which makes it 400 ns a block. */
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    start_ns = now_ns();
    for (int32_t done = 0; done < count; done += alive) {
        for (int32_t i = 0; i < alive; i++) {
            blocks[i] = malloc((size_t)size);
            use(blocks[i]);
        }
        for (int32_t i = 0; i < alive; i++)
            free(blocks[i]);
    }
    tell(start_ns, count, out);
    free(blocks);
    return 0;
}

API int32_t bench_getcpu(int32_t count, uint64_t *out)
{
    uint64_t start_ns = now_ns();

    for (int32_t i = 0; i < count; i++)
        use((void *)(intptr_t)sched_getcpu());
    tell(start_ns, count, out);
    return 0;
}

/* What an arena's create does at the least: small pages, bound to node 0 and there. Timed once; unmapped untimed. */
API int32_t bench_create(uint64_t bytes, uint64_t *out);

API int32_t bench_create(uint64_t bytes, uint64_t *out)
{
    const unsigned long node_zero = 1;
    uint64_t start_ns = now_ns();
    char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return -errno;
    if (madvise(start, bytes, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
        return -errno;
    if (syscall(SYS_mbind, start, bytes, MPOL_BIND, &node_zero, 8 * sizeof node_zero, 0) < 0 ||
        madvise(start, bytes, MADV_POPULATE_WRITE) < 0)
        return -errno;
    tell(start_ns, 1, out);
    munmap(start, bytes);
    return 0;
}
