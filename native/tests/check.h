/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The C tests' harness: CHECK stops the test program at the first failure; TEST_SKIPPED is ctest's "skipped". */
#ifndef NK_CHECK_H
#define NK_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define TEST_SKIPPED 77

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

#endif
