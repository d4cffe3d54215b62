/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For programs that are counted: names sections and ranges (marks.h). Loaded by tests and benchmarks, through FFI. */
#include "mark.h"
#include "marks.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define LINE_BYTES 64

static const uint8_t dial[256] __attribute__((aligned(256))) = {1};
/* A message is of several loads. */
static pthread_mutex_t talking = PTHREAD_MUTEX_INITIALIZER;

#define MARK(name, digits)                                                                                        \
    static void name(const volatile void *address)                                                                \
    {                                                                                                             \
        __asm__ volatile("movzbl 0x4e554d" #digits "(%%rdi), %%eax"                                               \
                         :                                                                                        \
                         : "D"((uintptr_t)address - UINT64_C(0x4e554d##digits))                                   \
                         : "eax", "memory");                                                                      \
    }
MARK(letter, 30)
MARK(word, 31)
MARK(line, 32)

static void say(enum nk_word what, const char *text)
{
    word(&dial[NK_WORD_CLEAR]);
    for (; *text != '\0'; text++)
        letter(&dial[(uint8_t)*text]);
    word(&dial[what]);
}

EXPORT int32_t nk_mark_begin(const char *name)
{
    pthread_mutex_lock(&talking);
    say(NK_WORD_BEGIN, name);
    pthread_mutex_unlock(&talking);
    return 0;
}

EXPORT int32_t nk_mark_end(void)
{
    pthread_mutex_lock(&talking);
    say(NK_WORD_END, "");
    pthread_mutex_unlock(&talking);
    return 0;
}

EXPORT int32_t nk_mark_note(const char *text)
{
    pthread_mutex_lock(&talking);
    say(NK_WORD_NOTE, text);
    pthread_mutex_unlock(&talking);
    return 0;
}

EXPORT int32_t nk_mark_range(const char *name, const volatile uint8_t *start, uint64_t bytes)
{
    pthread_mutex_lock(&talking);
    say(NK_WORD_RANGE, name);
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)(LINE_BYTES - 1);

    for (uintptr_t at = first; at < (uintptr_t)start + bytes; at += LINE_BYTES)
        line((const volatile void *)at);
    pthread_mutex_unlock(&talking);
    return 0;
}
