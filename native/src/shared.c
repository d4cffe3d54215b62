/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory between processes, such that nothing that matters is left behind however a process ends.
 *
 * Header and data are memfds, sealed so that nobody can make them shorter or longer. A record under the arena's name
 * (names.c) says which process has them open, as which numbers, and which inodes they are. Others open them through
 * that process's /proc/PID/fd and look whether they got those inodes: whatever else may have those numbers by then, a
 * wrong file is never taken for the right one. No thread has to serve anybody.
 *
 * Nothing else in the record is believed either. The files have to be sealed, of this user, of the right size and in
 * pages of the right kind; where the pages are is asked of the kernel by whoever opens them.
 */
#include "shared.h"
#include "kernel.h"
#include "numakit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS_TYPE 0x01021994
#define HUGETLBFS_TYPE 0x958458f6

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* Arenas that are made anew under one name faster than this can follow. */
#define MAX_TRIES 100

/* For those who look at a process: nothing depends on it. */
static void memory_name(const char *name, char part, char *out, size_t capacity)
{
    snprintf(out, capacity, "numakit.%d.%c.%s", NK_ABI_VERSION, part, name);
}

static int make_file(const char *name, char part, unsigned flags, uint64_t bytes)
{
    char text[128];
    int fd;

    memory_name(name, part, text, sizeof text);
    flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
    /* Where vm.memfd_noexec is 2 the kernel refuses anything else. */
    fd = memfd_create(text, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(text, flags);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

static int identify(int fd, struct nk_file *file)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    *file = (struct nk_file){.number = fd, .device = status.st_dev, .inode = status.st_ino};
    return 0;
}

int nk_shared_make(const char *name, struct nk_range *range)
{
    unsigned flags = 0;
    int fd, error = nk_name_check(name);

    if (error < 0)
        return error;
    if (range->kind == NK_PAGES_THP || (range->flags & NK_RESERVE) != 0)
        return -ENOTSUP;
    if (range->page_bytes == 0 || (range->page_bytes & (range->page_bytes - 1)) != 0)
        return -EINVAL;
    if (range->kind == NK_PAGES_HUGE)
        flags = MFD_HUGETLB | (unsigned)__builtin_ctzll(range->page_bytes) << MFD_HUGE_SHIFT;
    fd = make_file(name, 'h', 0, (uint64_t)sysconf(_SC_PAGESIZE));
    if (fd < 0)
        return fd;
    range->files[NK_HEADER_FILE].number = fd;
    fd = make_file(name, 'd', flags, range->data_bytes);
    /* Hugepages of a size that the kernel does not have. */
    if (fd == -ENODEV)
        fd = -EINVAL;
    if (fd < 0)
        return fd;
    range->files[NK_DATA_FILE].number = fd;
    error = identify(range->files[NK_HEADER_FILE].number, &range->files[NK_HEADER_FILE]);
    return error < 0 ? error : identify(fd, &range->files[NK_DATA_FILE]);
}

/* Fills in who this process is. -ENXIO without a /proc that says so. */
static int describe_self(struct nk_record *record)
{
    struct stat status;

    record->process = getpid();
    if (stat("/proc/self/ns/pid", &status) < 0)
        return -ENXIO;
    record->pid_namespace = status.st_ino;
    /* Before Linux 5.6 there is only one. */
    record->time_namespace = stat("/proc/self/ns/time", &status) < 0 ? 0 : status.st_ino;
    return 0;
}

int nk_shared_publish(const char *name, const struct nk_range *range, struct nk_name **taken)
{
    struct nk_record record = {.kind = range->kind, .node = range->node, .page_bytes = range->page_bytes,
                               .data_bytes = range->data_bytes};
    int error = nk_name_check(name);

    if (error == 0)
        error = describe_self(&record);
    if (error < 0)
        return error;
    memcpy(record.files, range->files, sizeof record.files);
    return nk_name_take(name, &record, taken);
}

/* What process ids mean differs between namespaces, and thread ids are what owners of arenas are told by; so does what
 * a thread's time of birth means. */
static int check_namespaces(const struct nk_record *record)
{
    struct nk_record own;
    char self[32];
    ssize_t length;
    int error = describe_self(&own);

    if (error < 0)
        return error;
    if (own.pid_namespace != record->pid_namespace || own.time_namespace != record->time_namespace)
        return -EXDEV;
    /* A /proc that another PID namespace's processes are in. */
    length = readlink("/proc/self", self, sizeof self - 1);
    if (length < 0)
        return -ENXIO;
    self[length] = 0;
    return atoi(self) == own.process ? 0 : -ENXIO;
}

static bool is_file(const struct stat *status, const struct nk_file *file)
{
    return status->st_dev == file->device && status->st_ino == file->inode;
}

/* Why a process's file cannot be looked at: it is gone, or hidden. */
static int explain_absence(int process, int error)
{
    struct stat status;
    char path[64];

    if (error == EACCES || error == EPERM)
        return -EACCES;
    if (error != ENOENT || (kill(process, 0) < 0 && errno == ESRCH))
        return -error;
    snprintf(path, sizeof path, "/proc/%d", process);
    return stat(path, &status) < 0 ? -EACCES : -ENOENT;
}

/* A file of a process. -ENOENT it does not have it (any more); -EACCES it may not be looked at. */
static int open_file(int process, const struct nk_file *file)
{
    char path[64];
    struct stat status;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, file->number);
    /* Looked at before it is opened: to open some files does something. */
    if (stat(path, &status) < 0)
        return explain_absence(process, errno);
    if (!is_file(&status, file))
        return -ENOENT;
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return explain_absence(process, errno);
    if (fstat(fd, &status) == 0 && is_file(&status, file))
        return fd;
    close(fd);
    return -ENOENT;
}

/* A touch behind a file's end is fatal, and so is one for which its file system has no page. */
static int check_file(int fd, bool huge, uint64_t page_bytes, uint64_t bytes)
{
    struct stat status;
    struct statfs system;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &status) < 0 || fstatfs(fd, &system) < 0)
        return -EBADMSG;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (uint64_t)status.st_size != bytes)
        return -EBADMSG;
    if ((uint32_t)system.f_type != (huge ? HUGETLBFS_TYPE : TMPFS_TYPE) || (uint64_t)system.f_bsize != page_bytes)
        return -EBADMSG;
    return 0;
}

static int open_files(const struct nk_record *record, struct nk_range *wanted)
{
    uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
    bool huge = record->kind == NK_PAGES_HUGE;
    int error = 0;

    if (record->kind != NK_PAGES_SMALL && record->kind != NK_PAGES_HUGE)
        return -EBADMSG;
    for (int file = 0; file < NK_FILES && error == 0; file++) {
        int fd = open_file(record->process, &record->files[file]);

        if (fd < 0)
            return fd;
        wanted->files[file] = record->files[file];
        wanted->files[file].number = fd;
        error = file == NK_HEADER_FILE ? check_file(fd, false, small, small)
                                       : check_file(fd, huge, record->page_bytes, record->data_bytes);
    }
    wanted->page_bytes = record->page_bytes;
    wanted->data_bytes = record->data_bytes;
    wanted->kind = record->kind;
    wanted->node = record->node;
    return error;
}

static void close_files(struct nk_range *range)
{
    for (int file = 0; file < NK_FILES; file++) {
        if (range->files[file].number >= 0)
            close(range->files[file].number);
        range->files[file].number = -1;
    }
}

/* -EAGAIN the name went to another arena meanwhile. */
static int try_find(const char *name, struct nk_range *wanted)
{
    struct nk_record record;
    struct nk_entry entry;
    int error = nk_name_find(name, &record, &entry);

    if (error < 0)
        return error;
    error = check_namespaces(&record);
    if (error == 0)
        error = open_files(&record, wanted);
    /* What was found is only the name's if that was still its maker's afterwards. */
    if (!nk_entry_holds(&entry))
        error = -EAGAIN;
    nk_entry_close(&entry);
    if (error < 0)
        close_files(wanted);
    return error;
}

/* Whether a process of another mount namespace has memory of that name. */
static bool has_memory(const char *process, const char *name)
{
    char path[320], wanted[160], text[128], link[256];
    bool found = false;
    struct dirent *entry;
    DIR *files;

    memory_name(name, 'd', text, sizeof text);
    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", text);
    snprintf(path, sizeof path, "/proc/%.16s/fd", process);
    files = opendir(path);
    while (files != NULL && !found && (entry = readdir(files)) != NULL) {
        struct stat status;
        ssize_t length;

        snprintf(path, sizeof path, "/proc/%.16s/fd/%.16s", process, entry->d_name);
        length = readlink(path, link, sizeof link - 1);
        link[length < 0 ? 0 : length] = 0;
        found = strcmp(link, wanted) == 0 && stat(path, &status) == 0 && status.st_uid == geteuid();
    }
    if (files != NULL)
        closedir(files);
    return found;
}

/* Nobody has the name here. Somebody may where the folder of names is another one; only to say so. */
static int look_elsewhere(const char *name)
{
    struct stat own, other;
    bool found = false;
    struct dirent *entry;
    DIR *processes;
    char path[64];

    if (stat("/proc/self/ns/mnt", &own) < 0)
        return -ENXIO;
    processes = opendir("/proc");
    while (processes != NULL && !found && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%.16s/ns/mnt", entry->d_name);
        found = stat(path, &other) == 0 && other.st_ino != own.st_ino && has_memory(entry->d_name, name);
    }
    if (processes != NULL)
        closedir(processes);
    return found ? -EREMOTE : -ENOENT;
}

int nk_shared_find(const char *name, struct nk_range *wanted)
{
    int error = nk_name_check(name);

    if (error < 0)
        return error;
    error = -EAGAIN;
    for (int tries = 0; error == -EAGAIN && tries < MAX_TRIES; tries++)
        error = try_find(name, wanted);
    return error == -ENOENT || error == -EAGAIN ? look_elsewhere(name) : error;
}

void nk_shared_close(const struct nk_range *range)
{
    struct nk_range gone = *range;

    nk_name_give(gone.name);
    close_files(&gone);
}
