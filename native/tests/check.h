/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The C tests' harness: CHECK stops the test program at the first failure; TEST_SKIPPED is ctest's "skipped". */
#ifndef NK_CHECK_H
#define NK_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_SKIPPED 77
#define MIB (UINT64_C(1) << 20)

#define CHECK(condition)                                                                                          \
    do {                                                                                                          \
        if (!(condition)) {                                                                                       \
            fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition);                         \
            exit(1);                                                                                              \
        }                                                                                                         \
    } while (0)

#define CHECK_EQ(actual, expected)                                                                                \
    do {                                                                                                          \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                               \
        if (actual_ != expected_) {                                                                               \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, actual_, expected_);    \
            exit(1);                                                                                              \
        }                                                                                                         \
    } while (0)

#define RUN(test)                                                                                                 \
    do {                                                                                                          \
        test();                                                                                                   \
        printf("ok - %s\n", #test);                                                                               \
    } while (0)

static inline uint64_t small_page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static inline double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Resident anonymous memory in KiB. */
static inline long anonymous_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "re");

    CHECK(status != NULL);
    while (kib < 0 && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "RssAnon: %ld", &kib) != 1)
            kib = -1;
    fclose(status);
    return kib;
}

/* Whether pages that are only read share one of zeros: some kernels for virtual machines give each its own. */
static inline int has_zero_page(void)
{
    const uint64_t bytes = 8 * MIB;
    long before = anonymous_kib();
    volatile char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(start != MAP_FAILED);
    for (uint64_t at = 0; at < bytes; at += small_page())
        (void)start[at];
    long after = anonymous_kib();

    munmap((void *)start, bytes);
    return after - before < (long)(bytes >> 11);
}

/* How often something is repeated: an emulated machine does a part of it. */
static inline int repeats(int all)
{
    const char *part = getenv("NUMAKIT_REPEAT_PART");

    return part == NULL ? all : all / atoi(part);
}

/* The same numbers for the same seed. */
static inline uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state;
}

/* Wait for a child that has to end well. */
static inline void finish(pid_t child)
{
    int status;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

#endif
