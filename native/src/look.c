/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A look at what may change of the machine while the process runs. It reads a few small files and knows nothing of what
 * they say, so that it can be repeated often; hwloc is asked again when two looks differ.
 */
#include "cgroup.h"
#include "numakit.h"
#include "system.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A line of /proc/self/status, or a list of CPUs: one of 4096 CPUs of which every second one is there has 10 KiB. */
#define TEXT_BYTES 32768

/* What is being written: its length counts what did not fit, too. */
struct text {
    char *out;
    uint64_t capacity;
    uint64_t length;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
    uint64_t left = text->length < text->capacity ? text->capacity - text->length : 0;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(left > 0 ? text->out + text->length : NULL, left, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (uint64_t)length;
}

/* A word of a file, if there is one: what stands behind the label until the line ends. */
static void add_word(struct text *text, const char *name, const char *found)
{
    size_t length = found ? strcspn(found, "\n") : 0;

    if (length > 0)
        add(text, "%s %.*s\n", name, (int)length, found);
}

static const char *behind(const char *text, const char *label)
{
    const char *line = strstr(text, label);

    return line ? line + strlen(label) : NULL;
}

/* /proc/self is the process, and so its status that of its first thread. */
static int add_status(struct text *text, const char *root)
{
    char path[PATH_MAX], status[TEXT_BYTES];
    int got = nk_path(path, sizeof path, "%s/proc/self/status", root);

    if (got >= 0)
        got = nk_read_text(path, status, sizeof status);
    if (got < 0)
        return got == -ENOENT ? 0 : got;
    add_word(text, "affinity", behind(status, "\nCpus_allowed_list:\t"));
    add_word(text, "memory", behind(status, "\nMems_allowed_list:\t"));
    return 0;
}

static int add_file(struct text *text, const char *name, const char *root, const char *file)
{
    char path[PATH_MAX], list[TEXT_BYTES];
    int got = nk_path(path, sizeof path, "%s/sys/devices/system/%s", root, file);

    if (got >= 0)
        got = nk_read_text(path, list, sizeof list);
    if (got >= 0)
        add_word(text, name, list);
    return got == -ENOENT || got > 0 ? 0 : got;
}

int32_t nk_machine_look(const char *root, char *out, uint64_t capacity)
{
    struct text text = {.out = out, .capacity = capacity};
    char list[TEXT_BYTES];
    uint64_t quota[2];
    int got;

    if (root == NULL || (out == NULL && capacity > 0))
        return -EINVAL;
    got = add_status(&text, root);
    if (got >= 0)
        got = add_file(&text, "cpus", root, "cpu/online");
    if (got >= 0)
        got = add_file(&text, "nodes", root, "node/online");
    if (got >= 0)
        got = nk_cgroup_cpus(root, list, sizeof list);
    if (got > 0)
        add_word(&text, "cpuset", list);
    if (got >= 0)
        got = nk_cpu_quota(root, quota);
    if (got > 0)
        add(&text, "quota %" PRIu64 " %" PRIu64 "\n", quota[0], quota[1]);
    if (got < 0)
        return got;
    return text.length > INT32_MAX ? -EOVERFLOW : (int32_t)text.length;
}
