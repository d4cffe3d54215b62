/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"
#include "files.h"
#include "numakit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char name[64];

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
    CHECK_EQ(nk_mapping_populate(found[0], 0, MIB), 0);
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
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS], other[NK_MAPPING_FACTS], stats[4];
    int files = open_files();

    for (int round = 0; round < 50; round++) {
        share(out);
        CHECK_EQ(nk_mapping_open(name, found), -ENOENT);
        CHECK_EQ(nk_mapping_publish(out[0], name), 0);
        CHECK_EQ(nk_mapping_publish(out[0], name), -EINVAL);
        /* A process has a mapping of it, and a thread holds that once. */
        CHECK_EQ(nk_mapping_open(name, found), NK_MAPPING_FACTS);
        CHECK_EQ(found[0], out[0]);
        CHECK_EQ(found[9], 1);
        /* It is taken. */
        share(other);
        CHECK_EQ(nk_mapping_publish(other[0], name), -EEXIST);
        CHECK_EQ(nk_mapping_release(other[0], 1), 0);
        CHECK_EQ(nk_mapping_release(out[0], 1), 0);
        CHECK_EQ(nk_mapping_release(found[0], 1), -ESTALE);
    }
    nk_mapping_stats(stats);
    CHECK_EQ(stats[0], 0);
    CHECK_EQ(open_files(), files);
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

/* Runs this program as another process, which has none of this one's memory. */
static pid_t start(const char *task, const char *argument)
{
    pid_t child = fork();

    if (child == 0) {
        execl("/proc/self/exe", "shared_test", task, name, argument, NULL);
        _exit(127);
    }
    CHECK(child > 0);
    return child;
}

static int wait_for(pid_t child)
{
    int status;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What other processes do. Their exit statuses are small. */
static int act(const char *task, const char *argument)
{
    uint64_t out[NK_MAPPING_FACTS];
    int files = open_files();
    int32_t result;

    if (strcmp(task, "open") == 0) {
        for (int count = atoi(argument); count > 0; count--) {
            CHECK_EQ(nk_mapping_open(name, out), NK_MAPPING_FACTS);
            CHECK_EQ(nk_mapping_release(out[0], 1), 0);
        }
        CHECK_EQ(open_files(), files);
        return 0;
    }
    CHECK_EQ(nk_mapping_open(name, out), NK_MAPPING_FACTS);
    result = nk_mapping_claim(out[0], 1);
    if (strcmp(argument, "die") == 0)
        kill(getpid(), SIGKILL);
    return result == 0 ? 0 : result == getppid() ? 1 : 2;
}

static void test_one_thread_of_all_allocates(void)
{
    uint64_t out[NK_MAPPING_FACTS];
    pid_t child;
    int status;

    share(out);
    CHECK_EQ(nk_mapping_publish(out[0], name), 0);
    CHECK_EQ(nk_mapping_claim(out[0], 2), -EINVAL);
    CHECK_EQ(nk_mapping_claim(out[0], 1), 0);
    CHECK_EQ(nk_mapping_claim(out[0], 1), 0);
    CHECK_EQ(wait_for(start("claim", "")), 1);
    CHECK_EQ(nk_mapping_claim(out[0], 0), 0);
    child = start("claim", "die");
    /* Dead, and not yet waited for: its thread id is still there. */
    CHECK_EQ(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    CHECK_EQ(nk_mapping_claim(out[0], 1), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    /* This thread's id with another time of birth: an earlier thread's, which is gone. */
    ((volatile uint32_t *)(uintptr_t)out[1])[1] ^= 1;
    CHECK_EQ(wait_for(start("claim", "")), 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

static void test_a_name_is_found_any_number_of_times(void)
{
    uint64_t out[NK_MAPPING_FACTS], found[NK_MAPPING_FACTS];
    const char *wanted = getenv("NK_OPENINGS");
    struct timespec from, to;
    char count[16];

    snprintf(count, sizeof count, "%d", wanted == NULL ? repeats(1000) : atoi(wanted));
    share(out);
    CHECK_EQ(nk_mapping_publish(out[0], name), 0);
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK_EQ(wait_for(start("open", count)), 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("# %s openings in %.3f s\n", count,
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    CHECK_EQ(nk_mapping_open(name, found), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

int main(int count, char **arguments)
{
    if (count == 4) {
        snprintf(name, sizeof name, "%s", arguments[2]);
        return act(arguments[1], arguments[3]);
    }
    snprintf(name, sizeof name, "test-%d", (int)getpid());
    RUN(test_a_process_finds_what_another_published);
    RUN(test_names_are_free_again);
    RUN(test_bad_requests);
    RUN(test_one_thread_of_all_allocates);
    RUN(test_a_name_is_found_any_number_of_times);
    return 0;
}
