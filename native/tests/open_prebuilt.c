/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opens a built helper as a runtime would and uses a little of each library inside it. scripts/build_native --test runs
 * it; nothing but the C library is linked, and nothing else may come along with the helper.
 *
 * open_prebuilt LIBRARY FIXTURE.xml
 */
#include "check.h"
#include "numakit.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

static void *library;

static void *function(const char *name)
{
    void *found = dlsym(library, name);

    if (found == NULL)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(found != NULL);
    return found;
}

static int is_mapped(const char *part)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    int found = 0;

    CHECK(maps != NULL);
    while (!found && fgets(line, sizeof line, maps) != NULL)
        found = strstr(line, part) != NULL;
    fclose(maps);
    return found;
}

static int32_t describe(int32_t source, const char *text)
{
    int32_t (*export)(int32_t, const char *, char *, uint64_t) = function("nk_topology_export");
    static char json[1 << 20];

    return export(source, text, json, sizeof json);
}

int main(int argc, char **argv)
{
    double start_ms = now_ms(), opened_ms;
    int32_t (*abi_version)(void), (*create)(int32_t, int32_t, int32_t, uint64_t, uint64_t, uint64_t *);
    int32_t (*policy_set)(int32_t, int32_t), (*self)(uint64_t *), live, made;
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(argc, 3);
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    opened_ms = now_ms() - start_ms;
    if (library == NULL)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
    CHECK(!is_mapped("libhwloc") && !is_mapped("libnuma.so"));
    CHECK(dlsym(RTLD_DEFAULT, "hwloc_topology_init") == NULL && dlsym(library, "hwloc_topology_init") == NULL);

    abi_version = function("nk_abi_version");
    CHECK_EQ(abi_version(), NK_ABI_VERSION);
    self = function("nk_thread_self");
    CHECK_EQ(self(out), 3);

    live = describe(NK_SOURCE_LIVE, NULL);
    CHECK(live > 0);
    CHECK(describe(NK_SOURCE_SYNTHETIC, "pack:2 numa:2 core:8 pu:2") > 0);
    CHECK(describe(NK_SOURCE_XML, argv[2]) > 0);
    CHECK_EQ(describe(NK_SOURCE_XML, argv[1]), -EINVAL);

    /* libnuma's part: the kernel may lack it (and emulators do), but must have been asked. */
    policy_set = function("nk_policy_set");
    made = policy_set(NK_POLICY_DEFAULT, 0);
    CHECK(made == 0 || made == -ENOSYS || made == -EPERM);
    create = function("nk_mapping_create");
    made = create(0, NK_PAGES_SMALL, 0, small_page(), 1 << 20, out);
    CHECK(made == NK_MAPPING_FACTS || made == -ENOSYS || made == -EPERM);
    /* First, so that the quickest of several runs sorts first. */
    printf("opened in %8.3f ms; the machine in %d bytes of JSON; a mapping on node 0: %s\n", opened_ms, live,
           made == NK_MAPPING_FACTS ? "made" : strerror(-made));
    return 0;
}
