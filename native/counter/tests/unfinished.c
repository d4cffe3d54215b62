/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unfinished crash|block|end: a program that does not come to its end, for the tests of the counter.
 *
 * It names memory that it has not written, and then, within two sections, crashes, or waits forever with many threads and
 * mappings; or it ends a section that it has not begun.
 */
#include "../mark.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE 64
#define BYTES 65536
#define THREADS 200
#define MAPPINGS 4000

static void *block(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

/* Threads that sleep, and mappings that the kernel does not join, as those beside them have other rights. */
static void block_with_many(void)
{
    pthread_attr_t small;
    pthread_t thread;

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int index = 0; index < THREADS; index++)
        pthread_create(&thread, &small, block, NULL);
    for (int index = 0; index < MAPPINGS; index++)
        mmap(NULL, 4096, index % 2 == 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    block(NULL);
}

int main(int argc, char **argv)
{
    volatile uint8_t *zeros = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t sum = 0;

    if (argc != 2 || zeros == MAP_FAILED)
        return 2;
    if (strcmp(argv[1], "end") == 0)
        nk_mark_end();
    nk_mark_begin("outer");
    nk_mark_begin("inner");
    /* What is read only is one page of zeros, again and again. */
    for (size_t at = 0; at < BYTES; at += LINE)
        sum = (uint8_t)(sum + zeros[at]);
    nk_mark_range("zeros", zeros, BYTES);
    nk_mark_range("nothing", zeros, 0);
    for (size_t at = 0; at < BYTES; at += LINE)
        sum = (uint8_t)(sum + zeros[at]);
    if (strcmp(argv[1], "block") == 0)
        block_with_many();
    abort();
}
