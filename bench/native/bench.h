/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all opponents in C share. */
#ifndef NUMAKIT_BENCH_H
#define NUMAKIT_BENCH_H

#include <stdint.h>
#include <time.h>

#define API __attribute__((visibility("default")))

static inline uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Nanoseconds that one of `count` operations took, times 1000, to out[0]. */
static inline void tell(uint64_t start_ns, int32_t count, uint64_t *out)
{
    out[0] = (now_ns() - start_ns) * 1000 / (uint64_t)count;
}

/* Pauses for a moment in a loop that waits for another thread. */
static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
