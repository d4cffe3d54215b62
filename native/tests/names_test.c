/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of memory where somebody does not play fair: other users in the way, entries that lie, other namespaces, makers
 * that are killed while others race for their names.
 *
 * Other users are played by children that give up root, so without root there is nothing to do here.
 */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USER 54321u
#define OTHER 54322u
#define FOLDER "/dev/shm/numakit-54321"
#define ENTRY FOLDER "/x.arena"
#define MIB (UINT64_C(1) << 20)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static uint64_t small_page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Children do not look for leaks: the sanitizer cannot in namespaces of their own. */
static void leave(int status)
{
    fflush(stdout);
    _exit(status);
}

/* ---- users, folders ---- */

/* Whoever changes its user can be looked at by nobody, until it says otherwise. */
static void become(uid_t user)
{
    CHECK_EQ(setresgid(user, user, user), 0);
    CHECK_EQ(setresuid(user, user, user), 0);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
}

static void finish(pid_t child)
{
    int status;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void as_user(uid_t user, void (*body)(void))
{
    pid_t child = fork();

    if (child == 0) {
        become(user);
        body();
        leave(0);
    }
    finish(child);
}

static void clear(void)
{
    CHECK_EQ(system("rm -rf " FOLDER), 0);
}

static void put_folder(uid_t owner, mode_t mode)
{
    clear();
    CHECK_EQ(mkdir(FOLDER, 0700), 0);
    CHECK_EQ(chmod(FOLDER, mode), 0);
    CHECK_EQ(chown(FOLDER, owner, owner), 0);
}

/* ---- what users do ---- */

static int32_t share(const char *name, uint64_t *out)
{
    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_SMALL, 0, small_page(), MIB, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
    return nk_mapping_publish(out[0], name);
}

static void be_refused(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    char text[256] = "";

    CHECK_EQ(nk_mapping_open("x", out), -EPERM);
    CHECK_EQ(share("x", out), -EPERM);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK(nk_names_folder(text, sizeof text) > 0);
    CHECK(strstr(text, "\"path\":\"" FOLDER "\"") != NULL);
}

static void be_served(void)
{
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS];

    CHECK_EQ(share("x", out), 0);
    CHECK_EQ(nk_mapping_open("x", found), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(nk_mapping_open("x", found), -ENOENT);
    CHECK_EQ(access(ENTRY, F_OK), -1);
}

static void test_a_folder_of_others_is_refused(void)
{
    put_folder(OTHER, 0700);
    as_user(USER, be_refused);
    put_folder(USER, 0777);
    as_user(USER, be_refused);
    put_folder(USER, 0710);
    as_user(USER, be_refused);
    put_folder(USER, 0700);
    CHECK_EQ(rename(FOLDER, FOLDER "-behind"), 0);
    CHECK_EQ(symlink(FOLDER "-behind", FOLDER), 0);
    CHECK_EQ(lchown(FOLDER, OTHER, OTHER), 0);
    as_user(USER, be_refused);
    CHECK_EQ(unlink(FOLDER), 0);
    CHECK_EQ(rmdir(FOLDER "-behind"), 0);
    CHECK_EQ(close(open(FOLDER, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    as_user(USER, be_refused);
    clear();
    umask(0777);
    as_user(USER, be_served);
    umask(0022);
    as_user(USER, be_served);
    clear();
}

static void test_an_entry_of_others_is_refused(void)
{
    put_folder(USER, 0700);
    CHECK_EQ(close(open(ENTRY, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    as_user(USER, be_refused);
    CHECK_EQ(chown(ENTRY, OTHER, OTHER), 0);
    as_user(USER, be_refused);
    CHECK_EQ(unlink(ENTRY), 0);
    CHECK_EQ(mkfifo(ENTRY, 0600), 0);
    CHECK_EQ(chown(ENTRY, USER, USER), 0);
    as_user(USER, be_refused);
    CHECK_EQ(unlink(ENTRY), 0);
    CHECK_EQ(symlink("/etc/passwd", ENTRY), 0);
    as_user(USER, be_refused);
    CHECK_EQ(unlink(ENTRY), 0);
    /* One that nobody has is a leftover, whatever is in it. */
    CHECK_EQ(close(open(ENTRY, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    CHECK_EQ(chown(ENTRY, USER, USER), 0);
    as_user(USER, be_served);
    clear();
}

/* ---- entries that lie ---- */

struct lie {
    int32_t version, process, numbers[2], kind, node;
    uint64_t pid_namespace, time_namespace, devices[2], inodes[2], page_bytes, data_bytes;
    int lock; /* byte, -1 none */
};

static int make_file(unsigned flags, uint64_t bytes, int seals)
{
    int fd = memfd_create("numakit-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, (off_t)bytes), 0);
    if (seals != 0)
        CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* What a fair maker would say of these files. */
static struct lie truth(int header, int data)
{
    struct lie lie = {.version = NK_ABI_VERSION, .process = getpid(), .numbers = {header, data},
                      .kind = NK_PAGES_SMALL, .page_bytes = small_page()};
    struct stat status;

    CHECK_EQ(stat("/proc/self/ns/pid", &status), 0);
    lie.pid_namespace = status.st_ino;
    lie.time_namespace = stat("/proc/self/ns/time", &status) == 0 ? status.st_ino : 0;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(fstat(lie.numbers[i], &status), 0);
        lie.devices[i] = status.st_dev;
        lie.inodes[i] = status.st_ino;
    }
    lie.data_bytes = (uint64_t)status.st_size;
    return lie;
}

static int tell(const struct lie *lie)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lie->lock, .l_len = 1};
    char text[512];
    int length = snprintf(text, sizeof text,
                          "numakit %d\nprocess %d in %llu %llu\nheader %d %llu %llu\ndata %d %llu %llu\npages %d %llu\n"
                          "bytes %llu\nnode %d\n",
                          lie->version, lie->process, (unsigned long long)lie->pid_namespace,
                          (unsigned long long)lie->time_namespace, lie->numbers[0], (unsigned long long)lie->devices[0],
                          (unsigned long long)lie->inodes[0], lie->numbers[1], (unsigned long long)lie->devices[1],
                          (unsigned long long)lie->inodes[1], lie->kind, (unsigned long long)lie->page_bytes,
                          (unsigned long long)lie->data_bytes, lie->node);
    int fd = open(ENTRY, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, (size_t)length), length);
    if (lie->lock >= 0)
        CHECK_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
    return fd;
}

static int32_t hear(const struct lie *lie)
{
    uint64_t out[NK_MAPPING_FACTS];
    int fd = tell(lie);
    int32_t result = nk_mapping_open("x", out);

    close(fd);
    if (result > 0)
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    return result;
}

static void hear_of_files(void)
{
    int header = make_file(0, small_page(), SEALS), data = make_file(0, MIB, SEALS), wrong;
    struct lie lie = truth(header, data);

    CHECK_EQ(hear(&lie), NK_MAPPING_FACTS);
    /* Seals: each of them, on both. */
    for (int seal = 0; seal < 3; seal++) {
        wrong = make_file(0, MIB, SEALS & ~(const int[]){F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL}[seal]);
        lie = truth(header, wrong);
        CHECK_EQ(hear(&lie), -EBADMSG);
        close(wrong);
    }
    wrong = make_file(0, small_page(), 0);
    lie = truth(wrong, data);
    CHECK_EQ(hear(&lie), -EBADMSG);
    close(wrong);
    /* Sizes. */
    wrong = make_file(0, 2 * small_page(), SEALS);
    lie = truth(wrong, data);
    CHECK_EQ(hear(&lie), -EBADMSG);
    close(wrong);
    lie = truth(header, data);
    lie.data_bytes *= 2;
    CHECK_EQ(hear(&lie), -EBADMSG);
    /* Kinds of pages. */
    lie = truth(header, data);
    lie.kind = NK_PAGES_HUGE, lie.page_bytes = 2 * MIB;
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie.kind = NK_PAGES_THP;
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie.kind = NK_PAGES_SMALL;
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie = truth(header, data);
    lie.node = -1;
    CHECK_EQ(hear(&lie), -EBADMSG);
}

static void hear_of_processes(void)
{
    int header = make_file(0, small_page(), SEALS), data = make_file(0, MIB, SEALS);
    struct lie lie = truth(header, data);

    lie.version++;
    CHECK_EQ(hear(&lie), -EPROTO);
    lie = truth(header, data), lie.pid_namespace++;
    CHECK_EQ(hear(&lie), -EXDEV);
    lie = truth(header, data), lie.time_namespace++;
    CHECK_EQ(hear(&lie), -EXDEV);
    /* Other files by now: another number, another inode, another process, none. */
    lie = truth(header, data), lie.numbers[1] = header;
    CHECK_EQ(hear(&lie), -ENOENT);
    lie = truth(header, data), lie.inodes[0]++;
    CHECK_EQ(hear(&lie), -ENOENT);
    lie = truth(header, data), lie.process = INT32_MAX;
    CHECK_EQ(hear(&lie), -ENOENT);
    lie = truth(header, data), lie.process = 1;
    CHECK_EQ(hear(&lie), -EACCES);
    /* Nobody has it: neither a lock of a cleaner nor none is a maker's. */
    lie = truth(header, data), lie.lock = -1;
    CHECK_EQ(hear(&lie), -ENOENT);
    CHECK_EQ(access(ENTRY, F_OK), -1);
    lie.lock = 1;
    CHECK_EQ(hear(&lie), -ENOENT);
}

static void hear_of_hugepages(void)
{
    int header = make_file(0, small_page(), SEALS);
    int fd = memfd_create("numakit-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | 21u << 26);
    struct lie lie;

    if (fd < 0 || ftruncate(fd, (off_t)(2 * MIB)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        printf("# no hugetlb files of 2 MiB here\n");
        return;
    }
    lie = truth(header, fd);
    CHECK_EQ(hear(&lie), -EBADMSG);
    lie.kind = NK_PAGES_HUGE;
    lie.page_bytes = 1024 * MIB;
    CHECK_EQ(hear(&lie), -EBADMSG);
}

static void hear_of_holes(void)
{
    /* More than any machine has: nothing may be touched, and no killer called. */
    int header = make_file(0, small_page(), SEALS), data = make_file(0, MIB << 24, SEALS);
    struct lie lie = truth(header, data);
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(hear(&lie), -ENOMEM);
    /* A hole made afterwards takes room of its own, what is there does not. */
    data = make_file(0, MIB, SEALS);
    CHECK_EQ(fallocate(data, 0, 0, (off_t)MIB), 0);
    lie = truth(header, data);
    close(tell(&lie)); /* so that the entry is there */
    header = tell(&lie);
    CHECK_EQ(nk_mapping_open("x", out), NK_MAPPING_FACTS);
    CHECK_EQ(fallocate(data, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)(MIB / 2)), 0);
    CHECK_EQ(nk_mapping_populate(out[0], 0, MIB), 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

static void test_nothing_in_an_entry_is_believed(void)
{
    put_folder(USER, 0700);
    as_user(USER, hear_of_files);
    as_user(USER, hear_of_processes);
    as_user(USER, hear_of_hugepages);
    as_user(USER, hear_of_holes);
    clear();
}

static void hear_of_another_users_file(void)
{
    int header = make_file(0, small_page(), SEALS), data = 9;
    struct lie lie = truth(header, data);

    CHECK_EQ(hear(&lie), -EBADMSG);
}

static void test_memory_of_another_user_is_refused(void)
{
    pid_t child;

    put_folder(USER, 0700);
    child = fork();
    if (child == 0) {
        CHECK_EQ(seteuid(OTHER), 0);
        CHECK_EQ(dup2(make_file(0, MIB, SEALS), 9), 9);
        CHECK_EQ(seteuid(0), 0);
        become(USER);
        hear_of_another_users_file();
        leave(0);
    }
    finish(child);
    clear();
}

/* ---- other namespaces ---- */

static int ready[2], done[2];

/* A maker of "x" as that user, while body runs, then killed. */
static void beside_a_maker(uid_t user, int dumpable, void (*body)(void))
{
    uint64_t out[NK_MAPPING_FACTS];
    char byte = 0;
    pid_t maker;
    int status;

    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(done), 0);
    maker = fork();
    if (maker == 0) {
        become(user);
        CHECK_EQ(prctl(PR_SET_DUMPABLE, dumpable), 0);
        CHECK_EQ(share("x", out), 0);
        CHECK_EQ(write(ready[1], "x", 1), 1);
        close(done[1]);
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    body();
    kill(maker, SIGKILL);
    CHECK_EQ(waitpid(maker, &status, 0), maker);
    close(ready[0]), close(done[0]), close(done[1]);
}

/* What opening "x" has to give. */
static int32_t expected;

static void open_and_compare(void)
{
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(nk_mapping_open("x", out), expected);
}

static void open_and_compare_as_user(void)
{
    as_user(USER, open_and_compare);
}

/* Where a namespace cannot be made there is nothing to see. */
static void in_namespaces(int flags, void (*prepare)(void), int32_t result)
{
    pid_t child = fork();

    expected = result;
    if (child == 0) {
        if (unshare(flags) < 0) {
            printf("# no namespaces (%#x) here\n", (unsigned)flags);
            leave(0);
        }
        if (prepare != NULL)
            prepare();
        as_user(USER, open_and_compare);
        leave(0);
    }
    finish(child);
}

static void be_private(void)
{
    CHECK_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static void hide_names(void)
{
    be_private();
    CHECK_EQ(mount("none", "/dev/shm", "tmpfs", 0, "mode=1777"), 0);
}

static void hide_processes(void)
{
    be_private();
    CHECK_EQ(mount("none", "/proc", "tmpfs", 0, NULL), 0);
}

static void own_processes(void)
{
    be_private();
    CHECK_EQ(mount("none", "/proc", "proc", 0, NULL), 0);
}

static void try_namespaces(void)
{
    expected = NK_MAPPING_FACTS;
    as_user(USER, open_and_compare);
    in_namespaces(CLONE_NEWNET, NULL, NK_MAPPING_FACTS);
    in_namespaces(CLONE_NEWNS, NULL, NK_MAPPING_FACTS);
    in_namespaces(CLONE_NEWPID, NULL, -EXDEV);
    in_namespaces(CLONE_NEWNS, hide_names, -EREMOTE);
    in_namespaces(CLONE_NEWNS, hide_processes, -ENXIO);
}

static void test_other_namespaces_are_told_by_name(void)
{
    clear();
    beside_a_maker(USER, 1, try_namespaces);
    clear();
}

/* The other way round: a /proc that is not of the opener's PID namespace. */
static void test_a_foreign_proc_is_told_by_name(void)
{
    pid_t child = fork();

    if (child == 0) {
        int status;

        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
            printf("# no namespaces here\n");
            leave(0);
        }
        child = fork();
        if (child == 0) {
            expected = -ENXIO;
            beside_a_maker(USER, 1, open_and_compare_as_user);
            own_processes();
            expected = NK_MAPPING_FACTS;
            beside_a_maker(USER, 1, open_and_compare_as_user);
            leave(0);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        leave(status == 0 ? 0 : 1);
    }
    finish(child);
    clear();
}

static void test_a_process_that_may_not_be_looked_at_is_told(void)
{
    clear();
    expected = -EACCES;
    beside_a_maker(USER, 0, open_and_compare_as_user);
    clear();
}

int main(void)
{
    if (geteuid() != 0) {
        printf("skipped: not root\n");
        return TEST_SKIPPED;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(test_a_folder_of_others_is_refused);
    RUN(test_an_entry_of_others_is_refused);
    RUN(test_nothing_in_an_entry_is_believed);
    RUN(test_memory_of_another_user_is_refused);
    RUN(test_other_namespaces_are_told_by_name);
    RUN(test_a_foreign_proc_is_told_by_name);
    RUN(test_a_process_that_may_not_be_looked_at_is_told);
    return 0;
}
