/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every system call that places memory is made to fail, at every place where it is made and with every error that its
 * manual page documents: the helper has to report an error and leave nothing behind. The linker's --wrap puts the
 * functions below between the helper and the C library.
 */
#include "check.h"
#include "files.h"
#include "numakit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum call { MMAP, MBIND, MADVISE, MOVE_PAGES, MLOCK, CALLS };

static const char *const names[CALLS] = {"mmap", "mbind", "madvise", "move_pages", "mlock"};
static const int errors[CALLS][12] = {
    [MMAP] = {EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM, ETXTBSY},
    [MBIND] = {EFAULT, EINVAL, EIO, ENOMEM, EPERM, ENOSYS},
    [MADVISE] = {EACCES, EAGAIN, EBADF, EFAULT, EHWPOISON, EINVAL, EIO, ENOMEM, EPERM},
    [MOVE_PAGES] = {E2BIG, EACCES, EFAULT, EINVAL, ENODEV, ENOENT, ESRCH, ENOSYS},
    [MLOCK] = {EAGAIN, EINVAL, ENOMEM, EPERM},
};

/* The fault: the countdown-th call of that kind fails. */
static enum call faulty;
static int countdown, fault;
/* What is let go never fails, and where the kernel refuses it is a mapping of its own to it. */
static int letting_go, failed_letting_go;

/* As seccomp profiles do it: every call is refused. */
static int move_pages_refused, get_mempolicy_refused;

static int fails(enum call call)
{
    if (call != faulty || countdown == 0 || --countdown > 0)
        return 0;
    failed_letting_go += letting_go;
    errno = fault;
    return 1;
}

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_madvise(void *address, size_t bytes, int advice);
int __wrap_madvise(void *address, size_t bytes, int advice);
int __real_mlock(const void *address, size_t bytes);
int __wrap_mlock(const void *address, size_t bytes);
long __real_mbind(void *start, unsigned long bytes, int mode, const unsigned long *nodes, unsigned long most,
                  unsigned flags);
long __wrap_mbind(void *start, unsigned long bytes, int mode, const unsigned long *nodes, unsigned long most,
                  unsigned flags);
long __real_get_mempolicy(int *mode, unsigned long *nodes, unsigned long most, void *address, unsigned flags);
long __wrap_get_mempolicy(int *mode, unsigned long *nodes, unsigned long most, void *address, unsigned flags);
long __real_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags);
long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails(MMAP) ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, fd, offset);
}

int __wrap_madvise(void *address, size_t bytes, int advice)
{
    return fails(MADVISE) ? -1 : __real_madvise(address, bytes, advice);
}

int __wrap_mlock(const void *address, size_t bytes)
{
    return fails(MLOCK) ? -1 : __real_mlock(address, bytes);
}

long __wrap_mbind(void *start, unsigned long bytes, int mode, const unsigned long *nodes, unsigned long most,
                  unsigned flags)
{
    return fails(MBIND) ? -1 : __real_mbind(start, bytes, mode, nodes, most, flags);
}

long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags)
{
    if (move_pages_refused) {
        errno = EPERM;
        return -1;
    }
    return fails(MOVE_PAGES) ? -1 : __real_move_pages(pid, count, pages, nodes, status, flags);
}

long __wrap_get_mempolicy(int *mode, unsigned long *nodes, unsigned long most, void *address, unsigned flags)
{
    if (get_mempolicy_refused) {
        errno = EPERM;
        return -1;
    }
    return __real_get_mempolicy(mode, nodes, most, address, flags);
}

static const uint64_t node_zero[] = {1};

static void let_go(uint64_t mapping)
{
    letting_go = 1;
    CHECK_EQ(nk_mapping_release(mapping, 1), 0);
    letting_go = 0;
}

/* A mapping's whole life. */
static int32_t use_mapping(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page(), mapping;
    int32_t counts[2], result;

    result = nk_mapping_create(0, NK_PAGES_SMALL, NK_RESERVE | NK_LOCK, page, MIB, out);
    if (result < 0)
        return result;
    mapping = out[0];
    result = nk_mapping_commit(mapping, 16 * page);
    if (result >= 0)
        result = nk_mapping_populate(mapping, 0, 16 * page);
    if (result >= 0)
        result = nk_mapping_residency(mapping, 0, 16 * page, counts, 1);
    if (result >= 0)
        result = nk_mapping_commit(mapping, page);
    CHECK_EQ(nk_mapping_attach(mapping, out), NK_MAPPING_FACTS);
    CHECK(out[4] == 0 || out[4] == page || out[4] == 16 * page);
    let_go(mapping);
    return result;
}

static int32_t use_hugepages(void)
{
    uint64_t out[NK_MAPPING_FACTS], huge;
    int32_t result = nk_mapping_create(0, NK_PAGES_THP, 0, 2 * MIB, 4 * MIB, out);

    if (result == -ENOTSUP && countdown > 0)
        return 0; /* switched off on this machine */
    if (result < 0)
        return result;
    result = nk_mapping_populate(out[0], 0, 4 * MIB);
    if (result >= 0)
        result = nk_mapping_huge_bytes(out[0], 1, &huge);
    let_go(out[0]);
    return result;
}

static char shared_name[64];

/* A whole life of memory that other processes may have. */
static int32_t use_shared(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    int32_t result = nk_mapping_share(shared_name, 0, NK_PAGES_SMALL, 0, small_page(), MIB, out);

    if (result < 0)
        return result;
    result = nk_mapping_populate(out[0], 0, MIB);
    if (result >= 0)
        result = nk_mapping_publish(out[0], shared_name);
    let_go(out[0]);
    return result;
}

/* Of memory that another process has made. */
static int32_t use_opened(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    int32_t result = nk_mapping_open(shared_name, out);

    if (result < 0)
        return result;
    result = nk_mapping_populate(out[0], 0, MIB);
    let_go(out[0]);
    return result;
}

static int32_t use_buffer(void)
{
    uint64_t bytes = 16 * small_page();
    char *buffer = __real_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int32_t nodes[16], target = 0, absent, result;
    uint64_t binding;

    CHECK(buffer != MAP_FAILED);
    result = nk_binding_make(buffer, bytes, NK_POLICY_BIND, node_zero, 1, &binding);
    if (result >= 0)
        result = nk_buffer_populate(buffer, bytes, node_zero, 1);
    if (result >= 0)
        result = nk_buffer_split(buffer, bytes);
    if (result >= 0)
        result = nk_buffer_move(buffer, bytes, &target, 1, 0, &absent);
    if (result >= 0)
        result = nk_buffer_locate(buffer, bytes, nodes, 16);
    if (result >= 0)
        result = nk_binding_undo(binding);
    munmap(buffer, bytes);
    return result;
}

/* Runs a use with the fault at its first place, its second, and so on until it meets none. Returns the places. */
static int fail_everywhere(int32_t (*use)(void), enum call call, int error, int maps)
{
    uint64_t before[4], after[4];
    int place = 0;

    for (;;) {
        int32_t result;
        int let_go_before = failed_letting_go;

        nk_mapping_stats(before);
        faulty = call;
        fault = error;
        countdown = ++place;
        result = use();
        nk_mapping_stats(after);
        CHECK(memcmp(before, after, sizeof before) == 0);
        /* The allocator's and the sanitizer's own maps come and go by a few. */
        CHECK(count_maps() <= maps + 4 + 2 * failed_letting_go);
        if (countdown > 0) {
            countdown = 0;
            CHECK(result >= 0);
            return place - 1;
        }
        /* Advice may be refused where it is only advice; placement may not. */
        CHECK(result < 0 || call == MADVISE || failed_letting_go > let_go_before);
        CHECK(result > -200);
    }
}

static void fail_all(int32_t (*use)(void), const char *name)
{
    int32_t first;
    int maps;

    /* What the first run maps for good is no leak. */
    first = use();
    CHECK_EQ(first < 0 ? first : 0, 0);
    maps = count_maps();
    for (enum call call = MMAP; call < CALLS; call++) {
        int places = 0, kinds = 0;

        for (; errors[call][kinds] != 0; kinds++)
            places += fail_everywhere(use, call, errors[call][kinds], maps);
        printf("# %s: %s failed in %d ways at %d places\n", name, names[call], kinds, places);
    }
}

static void test_mappings(void)
{
    fail_all(use_mapping, "a mapping");
}

static void test_hugepages(void)
{
    fail_all(use_hugepages, "transparent hugepages");
}

static void test_buffers(void)
{
    fail_all(use_buffer, "a buffer");
}

static void test_shared_memory(void)
{
    int files = open_files();

    fail_all(use_shared, "shared memory");
    CHECK_EQ(open_files(), files);
}

/* Runs a body beside another process that has memory of that name. */
static void beside_a_maker(void (*body)(void))
{
    int ready[2], done[2];
    char byte = 0;
    pid_t child;

    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(done), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        uint64_t out[NK_MAPPING_FACTS];

        close(done[1]);
        CHECK_EQ(nk_mapping_share(shared_name, 0, NK_PAGES_SMALL, 0, small_page(), MIB, out), NK_MAPPING_FACTS);
        CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
        CHECK_EQ(nk_mapping_publish(out[0], shared_name), 0);
        CHECK_EQ(write(ready[1], "x", 1), 1);
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    close(done[0]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    body();
    close(done[1]);
    finish(child);
    close(ready[0]);
}

static void fail_opened(void)
{
    int files = open_files();

    fail_all(use_opened, "opened memory");
    CHECK_EQ(open_files(), files);
}

static void test_opened_memory(void)
{
    beside_a_maker(fail_opened);
}

/* Room on the node is something else, and is told by ENOMEM. Returns the places. */
static int run_out_of_maps(int32_t (*use)(void))
{
    for (int place = 1;; place++) {
        int let_go_before = failed_letting_go;
        int32_t result;

        faulty = MMAP;
        fault = ENOMEM;
        countdown = place;
        result = use();
        if (countdown > 0) {
            countdown = 0;
            CHECK(result >= 0);
            return place - 1;
        }
        if (failed_letting_go == let_go_before)
            CHECK_EQ(result, -EUSERS);
    }
}

static void run_out_of_maps_opening(void)
{
    CHECK(run_out_of_maps(use_opened) >= 3);
}

static void test_no_more_mappings_is_not_told_as_no_memory(void)
{
    CHECK(run_out_of_maps(use_mapping) >= 3);
    CHECK(run_out_of_maps(use_shared) >= 3);
    beside_a_maker(run_out_of_maps_opening);
}

static void test_without_move_pages(void)
{
    uint64_t page = small_page(), bytes = 16 * page;
    char *buffer = __real_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int32_t with[16], without[16], absent;

    CHECK(buffer != MAP_FAILED);
    memset(buffer, 1, 3 * page);
    CHECK_EQ(nk_buffer_locate(buffer, bytes, with, 16), 16);
    CHECK(with[2] >= 0 && with[3] == -1);
    move_pages_refused = 1;
    CHECK_EQ(nk_buffer_locate(buffer, bytes, without, 16), 16);
    CHECK_EQ(memcmp(with, without, sizeof with), 0);
    CHECK_EQ(nk_buffer_move(buffer, bytes, with, 1, 0, &absent), -EPERM); /* some of it is nowhere yet */
    memset(buffer, 1, bytes);
    CHECK_EQ(nk_buffer_locate(buffer, bytes, without, 16), 16);
    CHECK_EQ(nk_buffer_move(buffer, bytes, without, 16, 0, &absent), 0);
    CHECK(use_mapping() >= 0);
    CHECK(use_hugepages() >= 0);
    get_mempolicy_refused = 1;
    CHECK_EQ(nk_buffer_locate(buffer, bytes, without, 16), -EPERM);
    CHECK_EQ(use_mapping(), -EPERM);
    move_pages_refused = get_mempolicy_refused = 0;
    munmap(buffer, bytes);
}

int main(void)
{
    snprintf(shared_name, sizeof shared_name, "fault-%d", (int)getpid());
    RUN(test_mappings);
    RUN(test_shared_memory);
    RUN(test_opened_memory);
    RUN(test_no_more_mappings_is_not_told_as_no_memory);
    RUN(test_hugepages);
    RUN(test_buffers);
    RUN(test_without_move_pages);
    return 0;
}
