/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The limits of the calling process's control groups.
 *
 * A limit of any ancestor binds, so every group from the process's own up to the root of the mount is asked, and the
 * tightest answer wins. v2 has one hierarchy, v1 one a controller, and a hybrid system has both: both are walked,
 * since a hierarchy without the controller simply has no such files.
 *
 * Where a group's folder is: /proc/self/cgroup names it relative to the hierarchy, mountinfo says which part of the
 * hierarchy is mounted where. In a container the two may not meet (the name is the host's, the mount is the
 * container's own group): then the root of the mount is the nearest thing that can be seen.
 */
#include "cgroup.h"
#include "numakit.h"
#include "system.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* v1 writes "no limit" as LONG_MAX rounded down to a page, which depends on the page size. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

#define MIB (UINT64_C(1) << 20)
#define MIN_MARGIN (64 * MIB)
#define MAX_MARGIN (256 * MIB)

/* The tightest limit so far; out is the two words of the public functions. */
struct limit {
    bool found;
    uint64_t out[2];
};

/* Tighten limit by what the group in folder says. Returns 0 or -errno. */
typedef int visit_fn(const char *folder, bool v2, struct limit *limit);

/* Where the walk starts (the process's group) and ends (the mount's root). */
struct place {
    bool found, exact;
    char start[PATH_MAX], top[PATH_MAX];
};

struct mount {
    char *root, *point, *type, *options;
};

/* list: words with commas between them. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (*list) {
        size_t here = strcspn(list, ",");

        if (here == length && !strncmp(list, word, length))
            return true;
        list += here + (list[here] == ',');
    }
    return false;
}

/* mountinfo writes space, tab, newline and backslash as \ and three octal digits. */
static void unescape(char *text)
{
    char *to = text;

    while (*text) {
        if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
            *to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 4;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
}

/* "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:5 - cgroup2 cgroup2 rw" */
static bool parse_mount(char *line, struct mount *mount)
{
    char *dash = strstr(line, " - "), *state, *source;
    int skipped;

    line[strcspn(line, "\n")] = '\0';
    if (!dash)
        return false;
    *dash = '\0';
    mount->root = strtok_r(line, " ", &state);
    for (skipped = 0; skipped < 3 && mount->root; skipped++)
        mount->root = strtok_r(NULL, " ", &state);
    mount->point = mount->root ? strtok_r(NULL, " ", &state) : NULL;
    mount->type = strtok_r(dash + 3, " ", &state);
    source = mount->type ? strtok_r(NULL, " ", &state) : NULL;
    mount->options = source ? strtok_r(NULL, " ", &state) : NULL;
    if (!mount->point || !mount->options)
        return false;
    unescape(mount->root);
    unescape(mount->point);
    return true;
}

/* The part of group below the folder of the hierarchy that a mount shows, "" for that folder itself, or NULL. */
static const char *below(const char *group, const char *mount_root)
{
    size_t length = strcmp(mount_root, "/") ? strlen(mount_root) : 0;
    const char *rest = group + length;

    /* A group outside the process's cgroup namespace is named with "..", and so is no path from here. */
    if (strstr(group, "/.."))
        return NULL;
    if (strncmp(group, mount_root, length) || (*rest != '/' && *rest != '\0'))
        return NULL;
    return strcmp(rest, "/") ? rest : "";
}

static int consider_mount(const char *root, const struct mount *mount, const char *group, struct place *place)
{
    const char *rest = below(group, mount->root);
    char start[PATH_MAX];
    bool exact;
    int got;

    got = nk_path(start, sizeof start, "%s%s%s", root, mount->point, rest ? rest : "");
    if (got < 0)
        return got;
    exact = rest && !access(start, F_OK);
    if (place->found && !exact)
        return 0;
    got = nk_path(place->top, sizeof place->top, "%s%s", root, mount->point);
    if (got < 0)
        return got;
    strcpy(place->start, exact ? start : place->top);
    place->found = true;
    place->exact = exact;
    return 0;
}

/* Find the mount of the hierarchy (controller NULL: v2) that shows group. Returns 0 or -errno. */
static int find_place(const char *root, const char *controller, const char *group, struct place *place)
{
    char path[PATH_MAX], *line = NULL;
    size_t capacity = 0;
    struct mount mount;
    FILE *file;
    int got = nk_path(path, sizeof path, "%s/proc/self/mountinfo", root);

    if (got < 0)
        return got;
    file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? 0 : -errno;
    got = 0;
    while (got >= 0 && !place->exact && getline(&line, &capacity, file) >= 0) {
        if (!parse_mount(line, &mount))
            continue;
        if (controller ? !strcmp(mount.type, "cgroup") && has_word(mount.options, controller)
                       : !strcmp(mount.type, "cgroup2"))
            got = consider_mount(root, &mount, group, place);
    }
    free(line);
    fclose(file);
    return got;
}

/* The process's group of the hierarchy (controller NULL: v2). Returns 1, 0 when it has none, or -errno. */
static int find_group(const char *root, const char *controller, char *group, size_t group_capacity)
{
    char path[PATH_MAX], *line = NULL, *list, *name;
    size_t capacity = 0;
    FILE *file;
    int got = nk_path(path, sizeof path, "%s/proc/self/cgroup", root);

    if (got < 0)
        return got;
    file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? 0 : -errno;
    got = 0;
    while (got == 0 && getline(&line, &capacity, file) >= 0) {
        /* "4:cpu,cpuacct:/group", v2 "0::/group"; the group's name may have colons of its own. */
        list = strchr(line, ':');
        name = list ? strchr(++list, ':') : NULL;
        if (!name)
            continue;
        *name++ = '\0';
        name[strcspn(name, "\n")] = '\0';
        if (controller ? !has_word(list, controller) : *list != '\0')
            continue;
        got = nk_path(group, group_capacity, "%s", name);
        if (got >= 0)
            got = 1;
    }
    free(line);
    fclose(file);
    return got;
}

/* Ask every group from the process's own to the top of what is mounted. */
static int walk(const char *root, const char *controller, visit_fn *visit, struct limit *limit)
{
    char group[PATH_MAX];
    struct place place = { .found = false };
    int got = find_group(root, controller, group, sizeof group);

    if (got <= 0)
        return got;
    got = find_place(root, controller, group, &place);
    if (got < 0 || !place.found)
        return got;
    for (;;) {
        got = visit(place.start, !controller, limit);
        if (got < 0)
            return got;
        if (strlen(place.start) <= strlen(place.top))
            return 0;
        *strrchr(place.start, '/') = '\0';
    }
}

/* The file is not there: the root group, a controller that is not enabled here, a group that was just removed. */
static bool is_absent(int error)
{
    return error == -ENOENT || error == -ENODEV;
}

/* A group's number. Returns 1, 0 when the file is absent or says that there is no limit, or -errno. */
static int read_limit(const char *folder, const char *name, uint64_t *value)
{
    char path[PATH_MAX];
    int got = nk_path(path, sizeof path, "%s/%s", folder, name);

    if (got >= 0)
        got = nk_read_number(path, value);
    if (is_absent(got) || got == -ERANGE) /* "max", -1 */
        return 0;
    return got < 0 ? got : 1;
}

static int read_quota(const char *folder, bool v2, uint64_t *quota, uint64_t *period)
{
    char path[PATH_MAX], text[64], *end;
    int got;

    if (!v2) {
        got = read_limit(folder, "cpu.cfs_quota_us", quota);
        return got > 0 ? read_limit(folder, "cpu.cfs_period_us", period) : got;
    }
    got = nk_path(path, sizeof path, "%s/cpu.max", folder);
    if (got >= 0)
        got = nk_read_text(path, text, sizeof text);
    if (got < 0)
        return is_absent(got) ? 0 : got;
    *quota = strtoull(text, &end, 10);
    if (end == text) /* "max" */
        return 0;
    *period = strtoull(end, NULL, 10);
    return 1;
}

static int visit_quota(const char *folder, bool v2, struct limit *limit)
{
    uint64_t quota, period;
    int got = read_quota(folder, v2, &quota, &period);

    if (got <= 0 || quota == 0 || period == 0)
        return got < 0 ? got : 0;
    if (limit->found && (double)quota / (double)period >= (double)limit->out[0] / (double)limit->out[1])
        return 0;
    *limit = (struct limit){ .found = true, .out = { quota, period } };
    return 0;
}

/* Page cache that the kernel drops before the limit strikes. */
static uint64_t inactive_file(const char *folder, bool v2)
{
    const char *name = v2 ? "\ninactive_file " : "\ntotal_inactive_file ";
    char path[PATH_MAX], text[16384];
    const char *line;

    text[0] = '\n'; /* so that the first line is found, too */
    if (nk_path(path, sizeof path, "%s/memory.stat", folder) < 0 || nk_read_text(path, text + 1, sizeof text - 1) < 0)
        return 0;
    line = strstr(text, name);
    return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

static int visit_memory(const char *folder, bool v2, struct limit *limit)
{
    uint64_t most, used, cache, left;
    int got = read_limit(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &most);

    if (got <= 0 || (!v2 && most >= V1_NO_LIMIT))
        return got < 0 ? got : 0;
    got = read_limit(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &used);
    if (got <= 0)
        return got < 0 ? got : -EIO;
    cache = inactive_file(folder, v2);
    used -= cache < used ? cache : used;
    left = used < most ? most - used : 0;
    if (!limit->found || left < limit->out[0])
        *limit = (struct limit){ .found = true, .out = { left, most } };
    return 0;
}

/* What a limit has to leave for the runtime and its garbage, which come without asking: an eighth, tens of MiB at least
 * (a thread of V8's or JavaScriptCore's makes 30 to 50 MiB before it collects), but no more than a quarter. */
static uint64_t runtime_margin(uint64_t most)
{
    uint64_t margin = most / 8;

    margin = margin < MIN_MARGIN ? MIN_MARGIN : margin > MAX_MARGIN ? MAX_MARGIN : margin;
    return margin < most / 4 ? margin : most / 4;
}

/* As visit_memory, less the margin: of two groups the larger one may have less room. */
static int visit_room(const char *folder, bool v2, struct limit *limit)
{
    struct limit own = { .found = false };
    uint64_t margin;
    int error = visit_memory(folder, v2, &own);

    if (error < 0 || !own.found)
        return error;
    margin = runtime_margin(own.out[1]);
    own.out[0] = own.out[0] > margin ? own.out[0] - margin : 0;
    if (!limit->found || own.out[0] < limit->out[0])
        *limit = own;
    return 0;
}

static int32_t tightest(const char *root, const char *controller, visit_fn *visit, uint64_t *out)
{
    struct limit limit = { .found = false };
    int got;

    if (!root || !out)
        return -EINVAL;
    got = walk(root, NULL, visit, &limit);
    if (got >= 0)
        got = walk(root, controller, visit, &limit);
    if (got < 0 || !limit.found)
        return got < 0 ? got : 0;
    out[0] = limit.out[0];
    out[1] = limit.out[1];
    return 2;
}

int32_t nk_cpu_quota(const char *root, uint64_t *out)
{
    return tightest(root, "cpu", visit_quota, out);
}

int32_t nk_memory_limit(const char *root, uint64_t *out)
{
    return tightest(root, "memory", visit_memory, out);
}

int nk_memory_room_below(const char *root, uint64_t *out)
{
    return tightest(root, "memory", visit_room, out);
}

/* A file of the group, or of the nearest one around it that has the file. As nk_cgroup_cpus. */
static int nearest(const char *root, const char *controller, const char *file, char *text, size_t capacity)
{
    char group[PATH_MAX], path[PATH_MAX];
    struct place place = { .found = false };
    int got = find_group(root, controller, group, sizeof group);

    if (got <= 0)
        return got;
    got = find_place(root, controller, group, &place);
    if (got < 0 || !place.found)
        return got;
    for (;;) {
        got = nk_path(path, sizeof path, "%s/%s", place.start, file);
        if (got >= 0)
            got = nk_read_text(path, text, capacity);
        if (!is_absent(got))
            return got;
        if (strlen(place.start) <= strlen(place.top))
            return 0;
        *strrchr(place.start, '/') = '\0';
    }
}

int nk_cgroup_cpus(const char *root, char *text, size_t capacity)
{
    int got = nearest(root, NULL, "cpuset.cpus.effective", text, capacity);

    return got == 0 ? nearest(root, "cpuset", "cpuset.effective_cpus", text, capacity) : got;
}
