/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What /proc tells of this process, and the folder of fixtures. */
#ifndef NK_TEST_FILES_H
#define NK_TEST_FILES_H

#include "check.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

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

/* The kernel's mappings of this process. */
static inline int count_maps(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int count = 0, c;

    CHECK(maps != NULL);
    while ((c = getc(maps)) != EOF)
        count += c == '\n';
    fclose(maps);
    return count;
}

/* A number of /proc/self/status in KiB, by its name with the colon. */
static inline uint64_t status_kib(const char *name)
{
    FILE *status = fopen("/proc/self/status", "re");
    uint64_t kib = 0;
    char line[256];

    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoull(line + strlen(name), NULL, 10);
    fclose(status);
    return kib;
}

/* Of the page that begins there. */
static inline int is_mapped(const void *page)
{
    unsigned char there;

    return mincore((void *)(uintptr_t)page, 1, &there) == 0;
}

/* The folder of the tests, as ctest tells it. */
static const char *tests_folder;

/* A path below one of fixtures/, until the next call. */
__attribute__((unused)) static const char *fixture(const char *name)
{
    static char path[PATH_MAX];
    int one = (int)strcspn(name, "/");

    CHECK(tests_folder != NULL);
    CHECK((size_t)snprintf(path, sizeof path, "%s/fixtures/%.*s", tests_folder, one, name) < sizeof path);
    CHECK_EQ(access(path, F_OK), 0);
    CHECK((size_t)snprintf(path, sizeof path, "%s/fixtures/%s", tests_folder, name) < sizeof path);
    return path;
}

#endif
