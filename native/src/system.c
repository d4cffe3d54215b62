/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a node has right now, from sysfs. Nothing is cached: other processes take and free pages all the time.
 */
#include "system.h"
#include "numakit.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nk_path(char *path, size_t capacity, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(path, capacity, format, arguments);
    va_end(arguments);
    return length < 0 || (size_t)length >= capacity ? -ENAMETOOLONG : length;
}

/* Whether node 0 is the only one, where its files are masked. /proc/zoneinfo lists the kernel's nodes, whatever /sys
 * shows; where that is masked, too, there must be no list of nodes at all. */
static bool is_only_node(const char *root)
{
    char path[PATH_MAX], *line = NULL;
    bool found = false, others = false;
    size_t capacity = 0;
    int32_t node;
    FILE *file;

    if (nk_path(path, sizeof path, "%s/proc/zoneinfo", root) < 0)
        return false;
    file = fopen(path, "re");
    while (file && getline(&line, &capacity, file) > 0) {
        if (sscanf(line, "Node %" SCNd32 ", zone", &node) != 1)
            continue;
        found = true;
        others = others || node != 0;
    }
    free(line);
    if (file)
        fclose(file);
    return !others && (found || nk_next_node(root, 0) < 0);
}

/* The text of a node's meminfo. The system's is that of a node without files which is the only one: in containers that
 * mask /sys, and on kernels without NUMA. Returns its length or -errno. */
static int read_meminfo(const char *root, int32_t node, char *text, size_t capacity)
{
    char path[PATH_MAX];
    int got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/node%" PRId32 "/meminfo", root, node);

    if (got >= 0)
        got = nk_read_text(path, text, capacity);
    if (got != -ENOENT)
        return got;
    if (node != 0 || !is_only_node(root))
        return -ENODEV;
    got = nk_path(path, sizeof path, "%s/proc/meminfo", root);
    if (got < 0)
        return got;
    text[0] = '\n'; /* so that each line has something before its label, as a node's lines have */
    got = nk_read_text(path, text + 1, capacity - 1);
    return got == -ENOENT ? -ENODEV : got;
}

/* "Node 0 MemTotal:" or, of the system, "\nMemTotal:". */
static bool read_bytes(const char *text, const char *name, uint64_t *bytes)
{
    char label[32];

    snprintf(label, sizeof label, "%c%s:", text[0] == '\n' ? '\n' : ' ', name);
    return nk_text_bytes(text, label, bytes);
}

int nk_node_memory_below(const char *root, int32_t node, uint64_t *out)
{
    char text[NK_MEMINFO_BYTES];
    uint64_t active = 0, inactive = 0, dirty = 0, writeback = 0, clean;
    int got;

    if (!out)
        return -EINVAL;
    if (node < 0)
        return -ENODEV;
    got = read_meminfo(root, node, text, sizeof text);
    if (got < 0)
        return got;
    if (!read_bytes(text, "MemTotal", &out[0]) || !read_bytes(text, "MemFree", &out[1]))
        return text[0] == '\n' ? -ENODEV : -EIO; /* a made-up file: nothing is known of it */
    read_bytes(text, "Active(file)", &active);
    read_bytes(text, "Inactive(file)", &inactive);
    read_bytes(text, "Dirty", &dirty);
    read_bytes(text, "Writeback", &writeback);
    clean = active + inactive;
    clean = clean > dirty + writeback ? clean - dirty - writeback : 0;
    /* Half of it: the page cache also holds what running programs are mapped from, and the kernel will not take
     * everything back before it calls the OOM killer. */
    out[2] = clean / 2;
    return 3;
}

int nk_system_memory_below(const char *root, uint64_t *free_bytes, uint64_t *available_bytes)
{
    char path[PATH_MAX], text[NK_MEMINFO_BYTES];
    int got = nk_path(path, sizeof path, "%s/proc/meminfo", root);

    if (got >= 0)
        got = nk_read_text(path, text, sizeof text);
    if (got < 0)
        return got;
    return nk_text_bytes(text, "MemFree:", free_bytes) && nk_text_bytes(text, "MemAvailable:", available_bytes) ? 0
                                                                                                             : -EIO;
}

/* "0-1,4" */
int32_t nk_next_node(const char *root, int32_t from)
{
    char path[PATH_MAX], text[4096], *at = text;
    int got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/online", root);

    if (got >= 0)
        got = nk_read_text(path, text, sizeof text);
    if (got < 0)
        return got;
    for (;;) {
        char *end;
        long first = strtol(at, &end, 10), last = first;

        if (end == at)
            return -ENODEV;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        if (last >= from)
            return first > from ? (int32_t)first : from;
        at = end + (*end == ',');
    }
}

int32_t nk_node_memory(int32_t node, uint64_t *out)
{
    return nk_node_memory_below("", node, out);
}

int nk_node_hugepages_below(const char *root, int32_t node, uint64_t page_bytes, uint64_t *out)
{
    static const char *const files[] = { "nr_hugepages", "free_hugepages" };
    char path[PATH_MAX], text[8];
    int got, i;

    if (!out)
        return -EINVAL;
    if (node < 0)
        return -ENODEV;
    for (i = 0; i < 2; i++) {
        got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/node%" PRId32 "/hugepages/hugepages-%" PRIu64 "kB/%s",
                      root, node, page_bytes / 1024, files[i]);
        if (got >= 0)
            got = page_bytes % 1024 ? -ENOENT : nk_read_number(path, &out[i]);
        if (got < 0)
            break;
    }
    if (got != -ENOENT)
        return got < 0 ? got : 2;
    got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/node%" PRId32 "/cpulist", root, node);
    if (got >= 0)
        got = nk_read_text(path, text, sizeof text);
    return got == -ENOENT ? -ENODEV : -ENOENT;
}

int32_t nk_node_hugepages(int32_t node, uint64_t page_bytes, uint64_t *out)
{
    return nk_node_hugepages_below("", node, page_bytes, out);
}

static int compare_sizes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

int nk_node_hugepage_sizes(const char *root, int32_t node, uint64_t *sizes, int count)
{
    char path[PATH_MAX];
    struct dirent *entry;
    uint64_t kilobytes;
    int found = 0, got;
    DIR *folder;

    got = nk_path(path, sizeof path, "%s" NK_NODE_FOLDER "/node%" PRId32 "/hugepages", root, node);
    if (got < 0)
        return got;
    folder = opendir(path);
    if (!folder)
        return -errno;
    while ((entry = readdir(folder))) {
        if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kilobytes) != 1)
            continue;
        if (found < count)
            sizes[found] = kilobytes * 1024;
        found++;
    }
    closedir(folder);
    qsort(sizes, (size_t)(found < count ? found : count), sizeof *sizes, compare_sizes);
    return found;
}
