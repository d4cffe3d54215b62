/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counted COMMAND ARG...: runs a command as one section, and notes what is needed to read the counts: which threads it had,
 * on which CPUs they ran, and what memory was where.
 *
 *   thread TID CPU TICKS NAME      CPU time in hundredths of a second, on the CPU where it was seen
 *   memory START-END NAME          a mapping, as /proc/PID/maps has it
 *
 * It looks every half second: of what comes and goes in between nothing is known.
 */
#include "mark.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 500000000
#define MAX_THREADS 1024
#define MAX_CPUS 64
#define MAX_MAPS 16384
#define NAME_BYTES 32
#define LINE_BYTES 512

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

int main(int argc, char **argv)
{
    const struct timespec nap = {0, LOOK_NS};
    int status;

    if (argc < 2) {
        fputs("counted: give a command\n", stderr);
        return 2;
    }
    nk_mark_begin(argv[1]);
    pid_t child = fork();

    if (child < 0) {
        perror("counted");
        return 1;
    }
    if (child == 0) {
        execvp(argv[1], argv + 1);
        fprintf(stderr, "counted: %s: %s\n", argv[1], strerror(errno));
        _exit(127);
    }
    /* Who ends this one means the command. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    while (waitpid(child, &status, WNOHANG) == 0) {
        look_at_threads(child);
        look_at_memory(child);
        nanosleep(&nap, NULL);
    }
    note_all();
    nk_mark_end();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
