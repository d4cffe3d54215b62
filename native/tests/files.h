/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a process has open. */
#ifndef NK_TEST_FILES_H
#define NK_TEST_FILES_H

#include "check.h"

#include <dirent.h>

/* Counted, as the next number that is free says nothing of those above it. */
static inline int open_files(void)
{
    int count = 0;
    DIR *files = opendir("/proc/self/fd");

    CHECK(files != NULL);
    while (readdir(files) != NULL)
        count++;
    closedir(files);
    return count;
}

#endif
