/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For programs that are counted: names sections and ranges (marks.h). Loaded by tests and benchmarks, through FFI. */
#include "mark.h"
#include "marks.h"

#include <errno.h>
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

static int32_t say_alone(enum nk_word what, const char *text)
{
    pthread_mutex_lock(&talking);
    say(what, text);
    pthread_mutex_unlock(&talking);
    return 0;
}

EXPORT int32_t nk_mark_begin(const char *name)
{
    return say_alone(NK_WORD_BEGIN, name);
}

EXPORT int32_t nk_mark_end(void)
{
    return say_alone(NK_WORD_END, "");
}

EXPORT int32_t nk_mark_note(const char *text)
{
    return say_alone(NK_WORD_NOTE, text);
}

EXPORT int32_t nk_mark_whole(const char *name)
{
    return say_alone(NK_WORD_WHOLE, name);
}

EXPORT int32_t nk_mark_done(void)
{
    return say_alone(NK_WORD_DONE, "");
}

EXPORT int32_t nk_mark_range(const char *name, const volatile uint8_t *start, uint64_t bytes)
{
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)(LINE_BYTES - 1), end;

    if (__builtin_add_overflow((uintptr_t)start, bytes, &end))
        return -EINVAL;
    if (bytes == 0)
        return 0;
    pthread_mutex_lock(&talking);
    say(NK_WORD_RANGE, name);
    /* By what is left, as the last line may end where addresses do. */
    for (uintptr_t left = (end - first + LINE_BYTES - 1) / LINE_BYTES, at = first; left > 0; left--, at += LINE_BYTES)
        line((const volatile void *)at);
    pthread_mutex_unlock(&talking);
    return 0;
}
