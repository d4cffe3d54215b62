/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static char name[64];

static uint64_t small_page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static volatile char *data_of(const uint64_t *out)
{
    return (volatile char *)(uintptr_t)(out[1] + out[2]);
}

static void share(uint64_t *out)
{
    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_SMALL, 0, small_page(), MIB, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
}

static void test_a_process_finds_what_another_published(void)
{
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS];
    int32_t counts[2];
    int ready[2], done[2], status;
    char byte = 0;
    pid_t child;

    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(done), 0);
    child = fork();
    if (child == 0) {
        share(out);
        CHECK_EQ(nk_mapping_publish(out[0], name), 0);
        data_of(out)[MIB - 1] = 42;
        CHECK_EQ(write(ready[1], "x", 1), 1);
        CHECK_EQ(read(done[0], &byte, 1), 1);
        CHECK_EQ(data_of(out)[0], 7);
        kill(getpid(), SIGKILL);
    }
    /* So that a child that fails is the end of the test. */
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(nk_mapping_open(name, found), NK_MAPPING_FACTS);
    CHECK_EQ(found[3], MIB);
    CHECK_EQ(found[4], MIB);
    CHECK_EQ(found[10], 1);
    CHECK_EQ(nk_mapping_residency(found[0], 0, MIB, counts, 1), (int32_t)(MIB / small_page()));
    CHECK_EQ(counts[0], (int32_t)(MIB / small_page()));
    CHECK_EQ(data_of(found)[MIB - 1], 42);
    data_of(found)[0] = 7;
    /* Somebody else has the name. */
    share(out);
    CHECK_EQ(nk_mapping_publish(out[0], name), -EEXIST);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(nk_mapping_commit(found[0], small_page()), -ENOTSUP);
    CHECK_EQ(write(done[1], "x", 1), 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    /* Its memory lives on here, its name does not. */
    CHECK_EQ(data_of(found)[MIB - 1], 42);
    CHECK_EQ(nk_mapping_open(name, out), -ENOENT);
    CHECK_EQ(nk_mapping_release(found[0], 1), 0);
}

static void test_names_are_free_again(void)
{
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS], stats[4];

    for (int round = 0; round < 50; round++) {
        share(out);
        CHECK_EQ(nk_mapping_open(name, found), -ENOENT);
        CHECK_EQ(nk_mapping_publish(out[0], name), 0);
        CHECK_EQ(nk_mapping_publish(out[0], name), -EINVAL);
        CHECK_EQ(nk_mapping_open(name, found), NK_MAPPING_FACTS);
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
        CHECK_EQ(nk_mapping_release(found[0], 1), 0);
    }
    nk_mapping_stats(stats);
    CHECK_EQ(stats[0], 0);
    /* No file stays open: descriptors would count up otherwise. */
    CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) < 32);
}

static void test_bad_requests(void)
{
    static const char *const wrong[] = {"", "a/b", "a b", "\xc3\xa4",
                                        "12345678901234567890123456789012345678901234567890123456789012345"};
    uint64_t out[NK_MAPPING_FACTS], page = small_page();

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_EQ(nk_mapping_share(wrong[i], 0, NK_PAGES_SMALL, 0, page, page, out), -EINVAL);
        CHECK_EQ(nk_mapping_open(wrong[i], out), -EINVAL);
    }
    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_THP, 0, 2 * MIB, 2 * MIB, out), -ENOTSUP);
    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_SMALL, NK_RESERVE, page, page, out), -ENOTSUP);
    CHECK_EQ(nk_mapping_share(name, 64, NK_PAGES_SMALL, 0, page, page, out), -ENODEV);
    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, page, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_publish(out[0], name), -EINVAL);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(nk_mapping_publish(out[0], name), -ESTALE);
}

/* Listens like an owner of the name, with memfds of its own making. */
static int pretend(const char *header_name, const char *data_name, int files[2])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "numakit.%u.%s", geteuid(), name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(bind(fd, (struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)), 0);
    CHECK_EQ(listen(fd, 1), 0);
    files[0] = memfd_create(header_name, MFD_CLOEXEC);
    files[1] = memfd_create(data_name, MFD_CLOEXEC);
    CHECK(files[0] >= 0 && files[1] >= 0);
    return fd;
}

static void test_strangers_are_refused(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    char header[128], data[128];
    int files[2], fd;

    snprintf(header, sizeof header, "numakit.%d.h.%s", NK_ABI_VERSION + 1, name);
    snprintf(data, sizeof data, "numakit.%d.d.%s", NK_ABI_VERSION + 1, name);
    fd = pretend(header, data, files);
    CHECK_EQ(nk_mapping_open(name, out), -EPROTO);
    close(files[0]);
    /* The right names, but files that could be cut short under our feet. */
    files[0] = memfd_create("other", MFD_CLOEXEC);
    CHECK_EQ(nk_mapping_open(name, out), -ENOENT);
    close(files[0]), close(files[1]), close(fd);
    snprintf(header, sizeof header, "numakit.%d.h.%s", NK_ABI_VERSION, name);
    snprintf(data, sizeof data, "numakit.%d.d.%s", NK_ABI_VERSION, name);
    fd = pretend(header, data, files);
    CHECK_EQ(ftruncate(files[0], (off_t)small_page()), 0);
    CHECK_EQ(nk_mapping_open(name, out), -EPROTO);
    close(files[0]), close(files[1]), close(fd);
}

int main(void)
{
    snprintf(name, sizeof name, "test-%d", (int)getpid());
    RUN(test_a_process_finds_what_another_published);
    RUN(test_names_are_free_again);
    RUN(test_bad_requests);
    RUN(test_strangers_are_refused);
    return 0;
}
