/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counted COMMAND ARG...: runs a command as one section, and notes what is needed to read the counts: which threads it had,
 * on which CPUs they ran, and what memory was where.
 *
 *   thread TID CPU TICKS NAME      CPU time in hundredths of a second, on the CPU where it was seen
 *   memory START-END NAME          a mapping, as /proc/PID/maps has it
 *
 * It looks when the command has begun, then ever more rarely, at least every three seconds, and when it has ended: of what
 * comes and goes in between nothing is known. Each look takes CPU time, much of it in an emulated machine with many threads
 * or mappings, and that time looks like the command's own progress to whoever waits for it: so, when the first
 * second is over, a look is followed by fifty times as long without one.
 */
#include "mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LOOK_NS INT64_C(10000000)
#ifndef LOOK_NS /* the longest time between looks; shorter in a test */
#define LOOK_NS INT64_C(3000000000)
#endif
#define REST_OF_LOOK 50
#define SECOND_NS INT64_C(1000000000)
#define MAX_THREADS 1024
#define MAX_CPUS 64
#define MAX_MAPS 16384
#define NAME_BYTES 32
#define LINE_BYTES 512
#define SECTION_BYTES 128

/* What a thread has used of each CPU: what it used between two looks counts for the CPU at the second. */
static struct thread {
    int tid;
    char name[NAME_BYTES];
    unsigned long last, ticks[MAX_CPUS];
} threads[MAX_THREADS];
static size_t thread_count;

static char *maps[MAX_MAPS];
static size_t map_count;

static struct thread *thread_of(int tid)
{
    for (size_t index = 0; index < thread_count; index++)
        if (threads[index].tid == tid)
            return &threads[index];
    if (thread_count == MAX_THREADS)
        return NULL;
    threads[thread_count].tid = tid;
    return &threads[thread_count++];
}

static void look_at_thread(pid_t pid, int tid)
{
    char path[64], text[LINE_BYTES];
    unsigned long user, kernel;
    unsigned cpu;

    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, tid);
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return;
    char *got = fgets(text, sizeof text, file);

    fclose(file);
    char *open = got == NULL ? NULL : strchr(text, '('), *close = got == NULL ? NULL : strrchr(text, ')');
    struct thread *thread = open == NULL || close == NULL ? NULL : thread_of(tid);

    /* Field 3 follows the name; 14 and 15 are times, 39 the CPU. */
    if (thread == NULL ||
        sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %*d %*u %*u "
                          "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %u",
               &user, &kernel, &cpu) != 3 ||
        cpu >= MAX_CPUS)
        return;
    snprintf(thread->name, sizeof thread->name, "%.*s", (int)(close - open - 1), open + 1);
    thread->ticks[cpu] += user + kernel - thread->last;
    thread->last = user + kernel;
}

static void look_at_threads(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);

    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        if (entry->d_name[0] != '.')
            look_at_thread(pid, atoi(entry->d_name));
    closedir(folder);
}

/* The mappings as they are now, in place of those of the look before. */
static void look_at_memory(pid_t pid)
{
    char path[64], text[LINE_BYTES];

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return;
    size_t count = 0;

    while (count < MAX_MAPS && fgets(text, sizeof text, file) != NULL) {
        int name = 0;
        char range[64];

        if (sscanf(text, "%63s %*s %*s %*s %*s %n", range, &name) != 1 || name == 0)
            continue;
        text[strcspn(text, "\n")] = '\0';
        char line[LINE_BYTES + 80];

        snprintf(line, sizeof line, "memory %s %s", range, text + name);
        if (count < map_count)
            free(maps[count]);
        maps[count++] = strdup(line);
    }
    fclose(file);
    /* A process that ends has none. */
    if (count > 0)
        map_count = count;
}

static void note_all(void)
{
    for (size_t index = 0; index < thread_count; index++) {
        const struct thread *thread = &threads[index];

        for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
            char line[LINE_BYTES];

            if (thread->ticks[cpu] == 0)
                continue;
            snprintf(line, sizeof line, "thread %d %d %lu %s", thread->tid, cpu, thread->ticks[cpu], thread->name);
            nk_mark_note(line);
        }
    }
    for (size_t index = 0; index < map_count; index++)
        nk_mark_note(maps[index]);
}

/* The command's section: its path, or what a name has room for of its last part, without a part of a letter. */
static const char *section_of(const char *command)
{
    static char name[SECTION_BYTES];
    const char *last = strrchr(command, '/');

    if (strlen(command) < sizeof name)
        return command;
    last = last == NULL || last[1] == '\0' ? command : last + 1;
    size_t bytes = strlen(last);

    if (bytes > sizeof name - 1)
        for (bytes = sizeof name - 1; bytes > 1 && (last[bytes] & 0xc0) == 0x80;)
            bytes--;
    memcpy(name, last, bytes);
    return name;
}

static int64_t own_cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * SECOND_NS + used.tv_nsec;
}

/* Looks; returns for how long it takes none, at least. */
static int64_t look(pid_t pid)
{
    int64_t before = own_cpu_ns();

    look_at_threads(pid);
    look_at_memory(pid);
    return REST_OF_LOOK * (own_cpu_ns() - before);
}

/* Looks until a child has ended; leaves it for waitpid. SIGCHLD is blocked. */
static void look_until_end(pid_t child, const sigset_t *ended)
{
    for (int64_t nap = FIRST_LOOK_NS;; nap *= 2) {
        int64_t rest = look(child);

        nap = nap > LOOK_NS ? LOOK_NS : nap;
        rest = nap < SECOND_NS || rest < nap ? nap : rest;
        struct timespec time = {rest / SECOND_NS, rest % SECOND_NS};

        for (siginfo_t info = {.si_pid = 0};; info.si_pid = 0) {
            /* Also when it only stopped, or goes on. */
            bool is_time = sigtimedwait(ended, NULL, &time) < 0 && errno == EAGAIN;

            if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) {
                /* Its first thread still has its times. */
                look_at_threads(child);
                return;
            }
            if (is_time)
                break;
        }
    }
}

/* Starts the command, and waits until it is itself. */
static pid_t start(char **command, const sigset_t *signals)
{
    int gone[2];
    char byte;

    if (pipe2(gone, O_CLOEXEC) != 0)
        return -1;
    pid_t child = fork();

    if (child == 0) {
        sigprocmask(SIG_SETMASK, signals, NULL);
        execvp(command[0], command);
        fprintf(stderr, "counted: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    close(gone[1]);
    while (child > 0 && read(gone[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(gone[0]);
    return child;
}

int main(int argc, char **argv)
{
    sigset_t ended, before;
    int status;

    if (argc < 2) {
        fputs("counted: give a command\n", stderr);
        return 2;
    }
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    /* Where it is ignored, children leave no status. */
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &ended, &before);
    nk_mark_whole(section_of(argv[1]));
    pid_t child = start(argv + 1, &before);

    if (child < 0) {
        perror("counted");
        return 1;
    }
    /* These are meant for the command, which has them, too; the counts are written when it has ended. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    look_until_end(child, &ended);
    waitpid(child, &status, 0);
    note_all();
    nk_mark_done();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
