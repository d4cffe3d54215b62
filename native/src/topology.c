/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine as JSON: loading it with hwloc and what is said of the whole; its parts are in topology_cpus.c,
 * topology_memory.c and devices.c.
 *
 * The whole machine is loaded, with what the cpuset forbids, and what is allowed is said beside it: distances and
 * caches do not change with the cgroup.
 */
#include "topology.h"
#include "devices.h"
#include "numakit.h"
#include "system.h"
#include "text.h"
#include "topology_cpus.h"
#include "topology_memory.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* More than any machine has. hwloc's time grows with the cube of one object's children (9 s for "pu:8192") and its
 * memory with the square of all objects: a short string must not be able to stop the process. */
#define MAX_SYNTHETIC_OBJECTS 32768
#define MAX_SYNTHETIC_CHILDREN 2048

#if HWLOC_API_VERSION < 0x00020100
#define HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED HWLOC_TOPOLOGY_FLAG_WHOLE_SYSTEM
#endif

/* hwloc's failures, as far as the contract tells them apart. */
static int hwloc_error(void)
{
    return errno == ENOMEM ? -ENOMEM : -EINVAL;
}

/* The objects that a synthetic description ("pack:2 [numa(memory=1GB)] core:8 2") asks for, as far as its shape can be
 * seen without parsing it; hwloc finds the rest of what may be wrong. */
static bool is_too_large(const char *text)
{
    unsigned long total = 0, level = 1;
    bool in_name = false;
    int depth = 0;

    for (; *text; text++) {
        depth += (*text == '(') - (*text == ')');
        if (depth > 0)
            continue;
        if (*text == '[')
            total += level;
        if (*text == ':' || (isdigit((unsigned char)*text) && !in_name)) {
            unsigned long arity = strtoul(text + (*text == ':'), NULL, 10);

            if (arity > MAX_SYNTHETIC_CHILDREN)
                return true;
            level *= arity;
            total += level;
            if (total > MAX_SYNTHETIC_OBJECTS)
                return true;
            in_name = true; /* the rest of the number */
        } else {
            in_name = *text != ' ' && *text != '\n';
        }
    }
    return total > MAX_SYNTHETIC_OBJECTS;
}

static int set_xml(hwloc_topology_t topology, const char *path)
{
    struct stat status;

    if (stat(path, &status))
        return -errno;
    if (!S_ISREG(status.st_mode)) /* a pipe would block */
        return -EINVAL;
    /* hwloc takes "-" for the standard input. */
    return hwloc_topology_set_xml(topology, strcmp(path, "-") ? path : "./-") ? hwloc_error() : 0;
}

static int set_source(hwloc_topology_t topology, int32_t source, const char *text)
{
    if (source == NK_SOURCE_LIVE)
        return 0;
    if (!text || !*text)
        return -EINVAL;
    if (source == NK_SOURCE_XML)
        return set_xml(topology, text);
    if (source != NK_SOURCE_SYNTHETIC || is_too_large(text))
        return -EINVAL;
    return hwloc_topology_set_synthetic(topology, text) ? hwloc_error() : 0;
}

/* Only what the description has: the rest would cost time (the PCI bus is most of a load). */
static int set_filters(hwloc_topology_t topology)
{
    if (hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE) ||
        hwloc_topology_set_icache_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE) ||
        hwloc_topology_set_type_filter(topology, HWLOC_OBJ_MISC, HWLOC_TYPE_FILTER_KEEP_NONE))
        return hwloc_error();
#if HWLOC_API_VERSION >= 0x00020100
    /* The x86 component moves the calling thread over all CPUs to ask each by cpuid; sysfs says the same. It fails
     * where there is no such component. */
    (void)hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
#endif
    return hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) ? hwloc_error() : 0;
}

static int load(int32_t source, const char *text, hwloc_topology_t *out)
{
    hwloc_topology_t topology;
    int got;

    errno = 0; /* hwloc does not always set it */
    if (hwloc_topology_init(&topology))
        return -ENOMEM;
    got = set_filters(topology);
    if (!got)
        got = set_source(topology, source, text);
    if (!got && hwloc_topology_load(topology))
        got = hwloc_error();
    if (got)
        hwloc_topology_destroy(topology);
    else
        *out = topology;
    return got;
}

/* The nodes that the kernel lets this thread allocate from; hwloc may not find the cpuset's files in a container. */
static void restrict_nodes(hwloc_bitmap_t nodes, const char *root)
{
    static const char label[] = "\nMems_allowed_list:\t";
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    char path[PATH_MAX], text[16384], *line;

    if (allowed && nk_path(path, sizeof path, "%s/proc/thread-self/status", root) >= 0 &&
        nk_read_text(path, text, sizeof text) >= 0 && (line = strstr(text, label))) {
        line += sizeof label - 1;
        line[strcspn(line, "\n")] = '\0';
        if (!hwloc_bitmap_list_sscanf(allowed, line))
            hwloc_bitmap_and(nodes, nodes, allowed);
    }
    hwloc_bitmap_free(allowed);
}

static void write_sets(struct nk_json *json, hwloc_topology_t topology, const char *root)
{
    hwloc_const_cpuset_t cpus = hwloc_topology_get_topology_cpuset(topology);
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();

    if (!allowed) {
        json->error = -ENOMEM;
        return;
    }
    nk_json_set(json, "cpus", cpus);
    hwloc_bitmap_and(allowed, cpus, hwloc_topology_get_allowed_cpuset(topology));
    nk_json_set(json, "allowedCpus", allowed);
    hwloc_bitmap_and(allowed, hwloc_topology_get_topology_nodeset(topology),
                     hwloc_topology_get_allowed_nodeset(topology));
    if (root)
        restrict_nodes(allowed, root);
    nk_json_set(json, "allowedNodes", allowed);
    hwloc_bitmap_free(allowed);
}

/* The library that runs, which may be newer than the headers. An XML file would tell what wrote it. */
static const char *hwloc_version(hwloc_topology_t topology, bool loaded_here)
{
    const char *version = NULL;

    if (loaded_here)
        version = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "hwlocVersion");
    return version ? version : HWLOC_VERSION;
}

void nk_topology_describe(struct nk_json *json, hwloc_topology_t topology, const char *source, const char *root)
{
    nk_json_begin(json, NULL, '{');
    nk_json_string(json, "hwloc", hwloc_version(topology, root || !strcmp(source, "synthetic")));
    nk_json_string(json, "source", source);
    write_sets(json, topology, root);
    nk_topology_cpus(json, topology);
    nk_topology_nodes(json, topology, root);
    nk_topology_distances(json, topology, root);
    nk_topology_attributes(json, topology);
    if (root)
        nk_topology_devices(json, topology, root);
    nk_json_end(json, '}');
}

/* What the description is of. hwloc's environment variables (HWLOC_SYNTHETIC, HWLOC_XMLFILE, HWLOC_FSROOT) put another
 * machine in this one's place: then nothing of this one may be mixed in, nor may it be called live. */
static const char *source_name(int32_t source, bool live)
{
    if (source == NK_SOURCE_LIVE && live)
        return "live";
    if (source == NK_SOURCE_LIVE)
        return getenv("HWLOC_SYNTHETIC") ? "synthetic" : "xml";
    return source == NK_SOURCE_SYNTHETIC ? "synthetic" : "xml";
}

int32_t nk_topology_export(int32_t source, const char *text, char *out, uint64_t capacity)
{
    struct nk_json json = { .out = out, .capacity = capacity };
    hwloc_topology_t topology;
    bool live;
    int got;

    if (!out && capacity)
        return -EINVAL;
    got = load(source, text, &topology);
    if (got)
        return got;
    live = source == NK_SOURCE_LIVE && hwloc_topology_is_thissystem(topology);
    nk_topology_describe(&json, topology, source_name(source, live), live ? "" : NULL);
    hwloc_topology_destroy(topology);
    return nk_json_finish(&json);
}
