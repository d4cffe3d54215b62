/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of memory whose makers cannot be reached: in other namespaces, without /proc, or because they may not be looked
 * at. Each is told by its own error.
 */
#include "users.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>

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
    choose_user();
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(test_other_namespaces_are_told_by_name);
    RUN(test_a_foreign_proc_is_told_by_name);
    RUN(test_a_process_that_may_not_be_looked_at_is_told);
    return 0;
}
