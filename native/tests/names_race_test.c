/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes race for one name: some take it and give it up, some are killed at any moment, others look it up. At most one
 * has it at a time, and who finds it never finds what had lost it before. Once with names alone, which is fast, and once
 * with memory.
 *
 * The linker's --wrap puts pauses before each system call that matters, so that processes meet where they never would.
 *
 * NK_RACE_MS: how long each, 1000 by default.
 */
#include "check.h"
#include "files.h"
#include "names.h"
#include "numakit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAKERS 3
#define OPENERS 3
#define SERIALS (1u << 20)
#define MAX_MS 120000

static struct {
    uint64_t clock;
    uint64_t serials, made, opened, killed;
    uint64_t current;              /* who has the name; 0 nobody, or one who has just been killed */
    uint64_t last[MAKERS];         /* a maker's latest serial */
    uint64_t ended_at[SERIALS];    /* when a serial had lost the name for certain */
    uint32_t doomed[SERIALS];      /* its maker is being killed */
    int stop;
} *shared;

static char name[64];

static uint64_t tick(void)
{
    return __atomic_add_fetch(&shared->clock, 1, __ATOMIC_SEQ_CST);
}

/* ---- pauses ---- */

static unsigned seed;
static int is_pausing;

static void pause_briefly(void)
{
    int kind = is_pausing ? rand_r(&seed) % 16 : 15;
    struct timespec time = {.tv_nsec = rand_r(&seed) % 200000};

    if (kind == 0)
        nanosleep(&time, NULL);
    else if (kind < 4)
        sched_yield();
}

int __real_fcntl(int fd, int command, void *argument);
int __wrap_fcntl(int fd, int command, ...);
int __real_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __real_unlinkat(int folder, const char *path, int flags);
int __wrap_unlinkat(int folder, const char *path, int flags);
int __real_fstatat(int folder, const char *path, struct stat *status, int flags);
int __wrap_fstatat(int folder, const char *path, struct stat *status, int flags);
ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);

int __wrap_fcntl(int fd, int command, ...)
{
    va_list arguments;
    void *argument;

    va_start(arguments, command);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    pause_briefly();
    return __real_fcntl(fd, command, argument);
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list arguments;

    va_start(arguments, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    pause_briefly();
    return __real_openat(folder, path, flags, mode);
}

int __wrap_unlinkat(int folder, const char *path, int flags)
{
    pause_briefly();
    return __real_unlinkat(folder, path, flags);
}

int __wrap_fstatat(int folder, const char *path, struct stat *status, int flags)
{
    pause_briefly();
    return __real_fstatat(folder, path, status, flags);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    pause_briefly();
    return __real_pwrite(fd, bytes, count, offset);
}

/* ---- makers and openers ---- */

/* What a serial stands for: a name alone, or memory. */
struct kind {
    int (*take)(uint64_t serial);
    void (*give)(void);
    /* 0 when nobody has it. */
    uint64_t (*find)(void);
};

static struct nk_name *taken;
static uint64_t memory[NK_MAPPING_FACTS];

static int take_name(uint64_t serial)
{
    const struct nk_record record = {.process = getpid(), .data_bytes = serial};

    return nk_name_take(name, &record, &taken);
}

static void give_name(void)
{
    nk_name_give(taken);
    taken = NULL;
}

static uint64_t find_name(void)
{
    struct nk_record record;
    struct nk_entry entry;
    int error = nk_name_find(name, &record, &entry), holds;

    CHECK(error == 0 || error == -ENOENT);
    if (error < 0)
        return 0;
    holds = nk_entry_holds(&entry);
    nk_entry_close(&entry);
    return holds ? record.data_bytes : 0;
}

static int take_memory(uint64_t serial)
{
    uint64_t page = small_page();

    CHECK_EQ(nk_mapping_share(name, 0, NK_PAGES_SMALL, 0, page, page, memory), NK_MAPPING_FACTS);
    CHECK_EQ(nk_mapping_populate(memory[0], 0, page), 0);
    *(volatile uint64_t *)(uintptr_t)(memory[1] + memory[2]) = serial;
    return nk_mapping_publish(memory[0], name);
}

static void give_memory(void)
{
    CHECK_EQ(nk_mapping_release(memory[0], 1), 0);
}

static uint64_t find_memory(void)
{
    uint64_t out[NK_MAPPING_FACTS], serial;
    int32_t result = nk_mapping_open(name, out);

    CHECK(result == NK_MAPPING_FACTS || result == -ENOENT);
    if (result < 0)
        return 0;
    serial = *(volatile uint64_t *)(uintptr_t)(out[1] + out[2]);
    CHECK(serial != 0);
    CHECK_EQ(nk_mapping_release(out[0], 1), 0);
    return serial;
}

static const struct kind names_alone = {take_name, give_name, find_name};
static const struct kind memories = {take_memory, give_memory, find_memory};
static const struct kind *kind;

static void make(int maker)
{
    uint64_t serial = __atomic_add_fetch(&shared->serials, 1, __ATOMIC_SEQ_CST), before;
    int result;

    CHECK(serial < SERIALS);
    __atomic_store_n(&shared->last[maker], serial, __ATOMIC_SEQ_CST);
    result = kind->take(serial);
    CHECK(result == 0 || result == -EEXIST);
    if (result == 0) {
        before = __atomic_exchange_n(&shared->current, serial, __ATOMIC_SEQ_CST);
        CHECK(before == 0 || __atomic_load_n(&shared->doomed[before], __ATOMIC_SEQ_CST) != 0);
        __atomic_fetch_add(&shared->made, 1, __ATOMIC_SEQ_CST);
        pause_briefly();
        CHECK_EQ(__atomic_exchange_n(&shared->current, 0, __ATOMIC_SEQ_CST), serial);
    }
    kind->give();
    __atomic_store_n(&shared->ended_at[serial], tick(), __ATOMIC_SEQ_CST);
}

static void find(void)
{
    uint64_t from = tick(), serial = kind->find(), ended;

    if (serial == 0)
        return;
    CHECK(serial < SERIALS);
    ended = __atomic_load_n(&shared->ended_at[serial], __ATOMIC_SEQ_CST);
    CHECK(ended == 0 || ended > from);
    __atomic_fetch_add(&shared->opened, 1, __ATOMIC_SEQ_CST);
}

/* ---- the race ---- */

static pid_t start(int process, unsigned round)
{
    pid_t child = fork();
    int files = child == 0 ? open_files() : 0;

    CHECK(child >= 0);
    seed = (unsigned)process * 1000 + round;
    is_pausing = child == 0;
    if (child == 0)
        CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGKILL), 0); /* a test that fails leaves nobody behind */
    while (child == 0 && __atomic_load_n(&shared->stop, __ATOMIC_SEQ_CST) == 0) {
        if (process < MAKERS)
            make(process);
        else
            find();
    }
    if (child == 0) {
        CHECK_EQ(open_files(), files);
        _exit(0);
    }
    return child;
}

/* Kill a maker wherever it is. Returns the one in its place. */
static pid_t replace(int maker, pid_t child, unsigned round)
{
    uint64_t serial;
    int status;

    /* Stopped first: it would go on to another serial, which nobody could know to be doomed. */
    kill(child, SIGSTOP);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    serial = __atomic_load_n(&shared->last[maker], __ATOMIC_SEQ_CST);
    __atomic_store_n(&shared->doomed[serial], 1, __ATOMIC_SEQ_CST);
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    __atomic_store_n(&shared->ended_at[serial], tick(), __ATOMIC_SEQ_CST);
    shared->killed++;
    return start(maker, round);
}

static void race(const struct kind *what)
{
    const char *time = getenv("NK_RACE_MS");
    double begin = now_ms(), end = begin + (time == NULL ? 1000 : atoi(time));
    uint64_t out[NK_MAPPING_FACTS];
    unsigned dice = 1, round = 0;
    pid_t children[MAKERS + OPENERS];
    int status;

    memset(shared, 0, sizeof *shared);
    kind = what;
    for (int process = 0; process < MAKERS + OPENERS; process++)
        children[process] = start(process, 0);
    /* A busy or emulated machine gets its turns later: it goes on until something was seen. */
    while (now_ms() < end || (now_ms() < begin + MAX_MS && !(shared->made > 0 && shared->opened > 0))) {
        int maker = rand_r(&dice) % MAKERS;
        struct timespec pause = {.tv_nsec = rand_r(&dice) % 8000000};

        nanosleep(&pause, NULL);
        children[maker] = replace(maker, children[maker], ++round);
        for (int opener = MAKERS; opener < MAKERS + OPENERS; opener++)
            CHECK_EQ(waitpid(children[opener], &status, WNOHANG), 0);
    }
    __atomic_store_n(&shared->stop, 1, __ATOMIC_SEQ_CST);
    for (int process = 0; process < MAKERS + OPENERS; process++) {
        CHECK_EQ(waitpid(children[process], &status, 0), children[process]);
        CHECK_EQ(status, 0);
    }
    printf("# %llu made, %llu opened, %llu makers killed\n", (unsigned long long)shared->made,
           (unsigned long long)shared->opened, (unsigned long long)shared->killed);
    CHECK(shared->made > 0 && shared->opened > 0 && shared->killed > 0);
    CHECK_EQ(nk_mapping_open(name, out), -ENOENT);
}

static void test_a_name_is_one_makers_at_a_time(void)
{
    race(&names_alone);
}

static void test_a_name_is_one_memorys_at_a_time(void)
{
    race(&memories);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(name, sizeof name, "race-%d", (int)getpid());
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(shared != MAP_FAILED);
    RUN(test_a_name_is_one_makers_at_a_time);
    RUN(test_a_name_is_one_memorys_at_a_time);
    return 0;
}
