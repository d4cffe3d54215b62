/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Owners that have to die run this program again: robust_test --child NAME HOW. */
#include "check.h"
#include "numakit.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATA_BYTES (UINT64_C(64) << 10)
#define AT(n) ((uint64_t)(n) * NK_ROBUST_BYTES)
#define POISONED (FUTEX_OWNER_DIED | FUTEX_TID_MASK)

static char name[64];
static uint64_t mapping;
static char *data;

static uint32_t *word(int lock)
{
    return (uint32_t *)(void *)(data + AT(lock));
}

static uint32_t load(int lock)
{
    return __atomic_load_n(word(lock), __ATOMIC_SEQ_CST);
}

/* The calling thread's number for a lock. */
static int32_t number(int lock)
{
    int32_t result = nk_robust_open(mapping, AT(lock));

    CHECK(result >= 0);
    return result;
}

static uint32_t self_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

static void make(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();

    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_SMALL, 0, page, DATA_BYTES, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, DATA_BYTES), 0);
    CHECK_EQ(nk_mapping_publish(out[0], name), 0);
    mapping = out[0];
    data = (char *)(uintptr_t)(out[1] + out[2]);
}

static void attach(void)
{
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(nk_mapping_attach(mapping, out), NK_MAPPING_FACTS);
}

/* As JavaScript does it. Returns as nk_robust_acquire. */
static int32_t acquire(int lock)
{
    int32_t waited = 0, result;

    while ((result = nk_robust_acquire(number(lock), waited)) == 0) {
        uint32_t seen = load(lock), more = seen | FUTEX_WAITERS;

        if ((seen & FUTEX_TID_MASK) == 0)
            continue;
        if (!__atomic_compare_exchange_n(word(lock), &seen, more, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        (void)nk_futex_wait(mapping, AT(lock), (int32_t)more, NK_MAX_WAIT_MS);
        waited = 1;
    }
    return result;
}

/* Runs a body in a thread that holds the mapping. */
static void *body_of_thread(void *body)
{
    attach();
    (*(void (**)(void))body)();
    return NULL;
}

static void in_thread(void (*body)(void))
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, body_of_thread, &body), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void test_bad_requests(void)
{
    static const uint64_t wrong[] = {1, 2, 3, DATA_BYTES, DATA_BYTES + 4096, DATA_BYTES - 2, UINT64_MAX,
                                     UINT64_MAX - 15};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(nk_robust_open(mapping, wrong[i]), -EINVAL);
    CHECK_EQ(nk_robust_open(mapping, 8), -EINVAL);
    CHECK_EQ(nk_robust_acquire(number(0), 2), -EINVAL);
    CHECK_EQ(number(0), number(0));
    CHECK(number(0) != number(1));
    for (int i = 0; i < 5; i++) {
        const int32_t nobodys = (const int32_t[]){-1, INT_MIN, INT_MAX, 1000, 32768}[i];

        CHECK_EQ(nk_robust_acquire(nobodys, 0), -ESTALE);
        CHECK_EQ(nk_robust_release(nobodys), -ESTALE);
    }
    for (int i = 0; i < 3; i++) {
        const uint64_t gone = (const uint64_t[]){0, mapping + 1, UINT64_MAX}[i];

        CHECK_EQ(nk_robust_open(gone, 0), -ESTALE);
    }
}

static void find_it_taken(void)
{
    CHECK_EQ(nk_robust_acquire(number(1), 0), 0);
    CHECK_EQ(nk_robust_release(number(1)), -EPERM);
    CHECK_EQ(nk_robust_acquire(number(2), 0), 1);
    CHECK_EQ(nk_robust_release(number(2)), 0);
}

static void test_one_has_it_at_a_time(void)
{
    CHECK_EQ(nk_robust_acquire(number(1), 0), 1);
    CHECK_EQ(load(1), self_tid());
    CHECK_EQ(nk_robust_acquire(number(1), 0), -EDEADLK);
    in_thread(find_it_taken);
    CHECK_EQ(nk_robust_release(number(1)), 0);
    CHECK_EQ(load(1), 0);
    CHECK_EQ(nk_robust_release(number(1)), -EPERM);
    CHECK_EQ(nk_robust_acquire(number(1), 1), 1);
    CHECK_EQ(load(1), self_tid() | FUTEX_WAITERS);
    CHECK_EQ(nk_robust_release(number(1)), 0);
}

static void test_a_thread_has_so_many(void)
{
    for (int i = 0; i < NK_MAX_ROBUST_HELD; i++)
        CHECK_EQ(nk_robust_acquire(number(i), 0), 1);
    CHECK_EQ(nk_robust_acquire(number(NK_MAX_ROBUST_HELD), 0), -ENOLCK);
    /* Odd ones first, so that the list is cut in its middle. */
    for (int i = 1; i < NK_MAX_ROBUST_HELD; i += 2)
        CHECK_EQ(nk_robust_release(number(i)), 0);
    for (int i = 0; i < NK_MAX_ROBUST_HELD; i += 2)
        CHECK_EQ(nk_robust_release(number(i)), 0);
    CHECK_EQ(nk_robust_acquire(number(NK_MAX_ROBUST_HELD), 0), 1);
    CHECK_EQ(nk_robust_release(number(NK_MAX_ROBUST_HELD)), 0);
}

static void take_two_and_end(void)
{
    CHECK_EQ(nk_robust_acquire(number(0), 0), 1);
    CHECK_EQ(nk_robust_acquire(number(1), 1), 1);
}

static void test_the_end_of_a_thread_is_told(void)
{
    in_thread(take_two_and_end);
    CHECK_EQ(load(0), FUTEX_OWNER_DIED);
    CHECK_EQ(load(1), FUTEX_OWNER_DIED | FUTEX_WAITERS);
    CHECK_EQ(nk_robust_acquire(number(0), 0), 2);
    /* The heir says that all is right. */
    __atomic_and_fetch(word(0), ~FUTEX_OWNER_DIED, __ATOMIC_SEQ_CST);
    CHECK_EQ(nk_robust_release(number(0)), 0);
    CHECK_EQ(nk_robust_acquire(number(0), 0), 1);
    CHECK_EQ(nk_robust_release(number(0)), 0);
    /* The heir says nothing. */
    CHECK_EQ(nk_robust_acquire(number(1), 0), 2);
    CHECK_EQ(nk_robust_release(number(1)), 1);
    CHECK_EQ(load(1), POISONED);
    CHECK_EQ(nk_robust_acquire(number(1), 0), -ENOTRECOVERABLE);
    *word(1) = 0;
    CHECK_EQ(nk_robust_acquire(number(1), 0), 1);
    CHECK_EQ(nk_robust_release(number(1)), 0);
}

static void let_go_of_the_mapping(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();
    int32_t first, second, shared = number(1);

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, page, out), NK_MAPPING_FACTS);
    first = nk_robust_open(out[0], 0);
    second = nk_robust_open(out[0], 16);
    CHECK_EQ(nk_robust_acquire(first, 0), 1);
    CHECK_EQ(nk_robust_acquire(number(0), 0), 1);
    CHECK_EQ(nk_robust_acquire(second, 0), 1);
    CHECK_EQ(nk_robust_acquire(shared, 0), 1);
    /* This one is unmapped; writes of the list to it would be fatal. */
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    CHECK_EQ(nk_robust_release(first), -ESTALE);
    CHECK_EQ(nk_robust_acquire(second, 0), -ESTALE);
    CHECK_EQ(nk_robust_open(out[0], 0), -ESTALE);
    CHECK_EQ(nk_robust_release(shared), 0);
    CHECK_EQ(nk_mapping_release(mapping, 1), 1);
    CHECK_EQ(nk_robust_acquire(shared, 0), -ESTALE);
    CHECK_EQ(nk_futex_wake(mapping, 0, 1), -ESTALE);
    attach();
    CHECK(number(0) != first && number(1) != shared);
    CHECK_EQ(nk_robust_acquire(shared, 0), -ESTALE);
    CHECK_EQ(nk_robust_acquire(number(1), 0), 1);
}

static void test_who_lets_go_of_the_memory_leaves_its_locks(void)
{
    in_thread(let_go_of_the_mapping);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(load(i), FUTEX_OWNER_DIED);
        *word(i) = 0;
    }
}

static void test_other_memory_is_no_deadlock(void)
{
    uint64_t out[NK_MAPPING_FACTS], page = small_page();
    int32_t other;

    CHECK_EQ(nk_mapping_create(0, NK_PAGES_SMALL, 0, page, page, out), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(out[0], 0, page), 0);
    other = nk_robust_open(out[0], AT(1));
    CHECK_EQ(nk_robust_acquire(number(1), 0), 1);
    /* This thread's id, of an earlier thread, at the offset of a lock that this one holds elsewhere. */
    *(volatile uint32_t *)(uintptr_t)(out[1] + out[2] + AT(1)) = self_tid();
    CHECK_EQ(nk_robust_acquire(other, 0), 2);
    CHECK_EQ(nk_robust_release(number(1)), 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
}

static void test_thread_ids_of_elsewhere(void)
{
    word(0)[1]++;
    CHECK_EQ(nk_robust_open(mapping, 0), -EXDEV);
    word(0)[1]--;
    /* This thread's id, of an earlier thread. */
    *word(0) = self_tid();
    CHECK_EQ(nk_robust_acquire(number(0), 0), 2);
    *word(0) = 0;
    CHECK_EQ(nk_robust_release(number(0)), -EPERM);
    /* No thread's id: the kernel gives none over 2^22. */
    *word(0) = (1u << 29) | FUTEX_WAITERS;
    CHECK_EQ(nk_robust_acquire(number(0), 0), 2);
    CHECK_EQ(load(0), self_tid() | FUTEX_WAITERS | FUTEX_OWNER_DIED);
    *word(0) = self_tid();
    CHECK_EQ(nk_robust_release(number(0)), 0);
    /* One that lives. */
    *word(0) = (uint32_t)getppid();
    CHECK_EQ(nk_robust_acquire(number(0), 0), 0);
    *word(0) = 0;
}

enum { COUNTERS = 4, TURNS = 5000 };
static volatile int count, deaths;

static void count_and_die(void)
{
    for (int turn = 0; turn < TURNS; turn++) {
        int result = acquire(0);

        CHECK(result == 1 || result == 2);
        if (result == 2) {
            deaths++;
            __atomic_and_fetch(word(0), ~FUTEX_OWNER_DIED, __ATOMIC_SEQ_CST);
        }
        count++;
        if (turn < TURNS - 1)
            CHECK_EQ(nk_robust_release(number(0)), 0);
    }
}

static void test_no_count_is_lost(void)
{
    void (*body)(void) = count_and_die;
    pthread_t threads[COUNTERS];

    for (int i = 0; i < COUNTERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, body_of_thread, &body), 0);
    for (int i = 0; i < COUNTERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(acquire(0), 2);
    CHECK_EQ(count, COUNTERS * TURNS);
    CHECK_EQ(deaths, COUNTERS - 1);
    *word(0) = self_tid();
    CHECK_EQ(nk_robust_release(number(0)), 0);
}

/* All sorts of garbage: random, the same byte, pointers to itself. */
static void scribble(uint32_t seed)
{
    for (uint64_t i = 0; i < DATA_BYTES / 8; i++) {
        uint64_t value = (uint64_t)next_random(&seed) << 32 | next_random(&seed);

        if (seed % 3 == 0)
            value = (uint64_t)(uintptr_t)data + value % DATA_BYTES;
        else if (seed % 3 == 1)
            value = ~UINT64_C(0);
        ((uint64_t *)(void *)data)[i] = value;
    }
}

static void suffer_garbage(void)
{
    static uint32_t seed = 1;
    int32_t numbers[10];

    for (int lock = 0; lock < 10; lock++)
        numbers[lock] = number(lock);

    for (int i = 0; i < 200; i++) {
        memset(data, 0, DATA_BYTES);
        for (int lock = 0; lock < 5; lock++)
            CHECK_EQ(nk_robust_acquire(number(lock), 0), 1);
        scribble(seed++);
        for (int lock = 0; lock < 10; lock++)
            (void)nk_robust_acquire(numbers[lock], 0);
        for (int lock = 0; lock < 10; lock++)
            (void)nk_robust_release(numbers[lock]);
        CHECK_EQ(nk_robust_release(numbers[0]), -EPERM);
    }
    memset(data, 0, DATA_BYTES);
    for (int lock = 0; lock < 5; lock++)
        CHECK_EQ(nk_robust_acquire(number(lock), 0), 1);
    scribble(seed++);
}

static void test_garbage_harms_nobody(void)
{
    in_thread(suffer_garbage);
    memset(data, 0, DATA_BYTES);
}

/* ---- other processes ---- */

static int be_a_child(const char *how)
{
    uint64_t out[NK_MAPPING_FACTS];

    CHECK_EQ(nk_mapping_open(name, out), NK_MAPPING_FACTS);
    mapping = out[0];
    data = (char *)(uintptr_t)(out[1] + out[2]);
    for (int lock = 0; lock < 3; lock++)
        CHECK_EQ(nk_robust_acquire(number(lock), 0), 1);
    if (strcmp(how, "garbage") == 0) {
        scribble(self_tid());
    } else if (strcmp(how, "nodes") == 0 || strcmp(how, "mended") == 0) {
        for (int lock = 0; lock < 3; lock++)
            memset(data + AT(lock) + 8, 0x55, 8);
    }
    if (strcmp(how, "mended") == 0)
        CHECK_EQ(nk_robust_acquire(number(3), 0), 1);
    CHECK_EQ(write(STDOUT_FILENO, "x", 1), 1);
    while (strcmp(how, "exit") != 0)
        pause();
    return 0;
}

/* This program's command without its own arguments: a loader with others may come first. */
static char command_text[4096];
static char *command[64];
static int command_words;

static void read_command(int own)
{
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t length;

    CHECK(file != NULL);
    length = fread(command_text, 1, sizeof command_text, file);
    CHECK(length < sizeof command_text);
    fclose(file);
    for (size_t at = 0; at < length && command_words < 60; at += strlen(command_text + at) + 1)
        command[command_words++] = command_text + at;
    command_words -= own;
}

static void run_again(const char *how)
{
    char *words[64] = {0};

    memcpy(words, command, (size_t)command_words * sizeof *words);
    words[command_words] = strdup("--child");
    words[command_words + 1] = name;
    words[command_words + 2] = strdup(how);
    execv("/proc/self/exe", words);
    _exit(1);
}

/* Starts a child and returns once it has its locks. */
static pid_t start(const char *how)
{
    int ready[2];
    char byte;
    pid_t child;

    CHECK_EQ(pipe(ready), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ready[1], STDOUT_FILENO);
        run_again(how);
    }
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end(pid_t child, int signal)
{
    int status;

    if (signal != 0)
        kill(child, signal);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(signal == 0 ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status));
}

static pid_t victim;

static void kill_soon(void)
{
    while ((load(1) & FUTEX_WAITERS) == 0)
        usleep(1000);
    usleep(5000);
    kill(victim, SIGKILL);
}

static void test_a_killed_process_is_told(void)
{
    void (*body)(void) = kill_soon;
    pthread_t thread;

    victim = start("plain");
    CHECK_EQ(load(1), victim);
    CHECK_EQ(nk_robust_acquire(number(1), 0), 0);
    CHECK_EQ(pthread_create(&thread, NULL, body_of_thread, &body), 0);
    /* Woken by the kernel: the child is not even waited for, so its id is still taken. */
    CHECK_EQ(acquire(1), 2);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    end(victim, SIGKILL);
    CHECK_EQ(load(0), FUTEX_OWNER_DIED);
    CHECK_EQ(load(1) & ~FUTEX_WAITERS, self_tid() | FUTEX_OWNER_DIED);
    CHECK_EQ(load(2), FUTEX_OWNER_DIED);
    CHECK_EQ(nk_robust_release(number(1)), 1);
    memset(data, 0, DATA_BYTES);
}

static void test_a_process_that_just_ends_is_told(void)
{
    end(start("exit"), 0);
    for (int lock = 0; lock < 3; lock++)
        CHECK_EQ(load(lock), FUTEX_OWNER_DIED);
    memset(data, 0, DATA_BYTES);
}

static void test_a_killed_process_with_garbage_for_nodes(void)
{
    end(start("mended"), SIGKILL);
    for (int lock = 0; lock < 4; lock++)
        CHECK_EQ(load(lock), FUTEX_OWNER_DIED);
    memset(data, 0, DATA_BYTES);
    end(start("nodes"), SIGKILL);
    /* The kernel found the newest one; for the others it is seen that their owner is gone. */
    CHECK_EQ(load(2), FUTEX_OWNER_DIED);
    CHECK(load(0) != 0 && load(0) != FUTEX_OWNER_DIED);
    for (int lock = 0; lock < 3; lock++)
        CHECK_EQ(nk_robust_acquire(number(lock), 0), 2);
    for (int lock = 0; lock < 3; lock++)
        CHECK_EQ(nk_robust_release(number(lock)), 1);
    for (int round = 0; round < 5; round++) {
        memset(data, 0, DATA_BYTES);
        end(start("garbage"), SIGKILL);
    }
    memset(data, 0, DATA_BYTES);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0) {
        snprintf(name, sizeof name, "%s", argv[2]);
        return be_a_child(argv[3]);
    }
    read_command(argc - 1);
    snprintf(name, sizeof name, "robust-%d", (int)getpid());
    make();
    if (nk_robust_open(mapping, 0) == -ENOSYS) {
        printf("# no robust lists in this kernel\n");
        return TEST_SKIPPED;
    }
    RUN(test_bad_requests);
    RUN(test_one_has_it_at_a_time);
    RUN(test_a_thread_has_so_many);
    RUN(test_the_end_of_a_thread_is_told);
    RUN(test_who_lets_go_of_the_memory_leaves_its_locks);
    RUN(test_other_memory_is_no_deadlock);
    RUN(test_thread_ids_of_elsewhere);
    RUN(test_no_count_is_lost);
    RUN(test_garbage_harms_nobody);
    RUN(test_a_killed_process_is_told);
    RUN(test_a_process_that_just_ends_is_told);
    RUN(test_a_killed_process_with_garbage_for_nodes);
    return 0;
}
