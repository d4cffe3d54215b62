/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Locks are those of open file descriptions (F_OFD_SETLK), on two bytes of an entry:
 *
 *   LIFE    held by the maker for as long as the name lives; others only ask whether it is held
 *   CHANGE  held by whoever removes the entry: the maker (always), or a cleaner for a moment
 *
 * A maker makes the entry, takes both at once, and looks whether the entry is still at its path. A cleaner that gets
 * CHANGE therefore knows that no maker has the entry or will get it, and that nobody else removes or replaces it: what
 * is at the path, if it is that file, may go. So names change hands without a moment at which two have one.
 *
 * A process inherits locks by fork until it runs another program. Giving a name up therefore unlocks by name, not by
 * close; only when a maker is killed does a child that it forked, and that never runs another program, keep the name.
 */
#include "names.h"
#include "names_folder.h"
#include "numakit.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_NAME 64
#define ENTRY_SUFFIX ".arena"
/* A cleaner is done in microseconds; one that is stopped in the middle of it keeps a name for longer than this. */
#define MAX_TRIES 40
#define PAUSE_NS 1000000

enum { LIFE, CHANGE, LOCKS };

struct nk_name {
    int which, fd;
    char file[80];
};

int nk_name_check(const char *name)
{
    size_t length = name == NULL ? 0 : strnlen(name, MAX_NAME + 1);

    if (length == 0 || length > MAX_NAME)
        return -EINVAL;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == 0 ? 0 : -EINVAL;
}

static struct flock range_of(int first, int count)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
}

static int lock(int fd, int first, int count)
{
    struct flock range = range_of(first, count);

    return fcntl(fd, F_OFD_SETLK, &range) < 0 ? -errno : 0;
}

/* Asks, without ever being in anybody's way. */
static bool is_locked(int fd, int byte)
{
    struct flock range = range_of(byte, 1);

    return fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

static bool is_at(int folder, const char *file, int fd)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && fstatat(folder, file, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* -EUCLEAN what is there is not numakit's, or others may write to it. */
static int open_entry(int folder, const char *file)
{
    int fd = openat(folder, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return errno == ELOOP || errno == EACCES || errno == ENXIO || errno == EISDIR ? -EUCLEAN : -errno;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        (status.st_mode & 0077) == 0)
        return fd;
    close(fd);
    return -EUCLEAN;
}

/* Remove an entry that nobody has. Returns 0 when it is gone. -EEXIST somebody has it; -EAGAIN somebody removes it;
 * -EUCLEAN. */
static int clean(int folder, const char *file)
{
    int fd = open_entry(folder, file), error;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    error = lock(fd, CHANGE, 1);
    if (error == -EAGAIN || error == -EACCES)
        error = is_locked(fd, LIFE) ? -EEXIST : -EAGAIN;
    else if (error == 0 && is_at(folder, file, fd) && unlinkat(folder, file, 0) < 0)
        error = -errno;
    close(fd);
    return error;
}

static void pause_for(int tries)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};

    if (tries > 2)
        nanosleep(&pause, NULL);
}

/* As clean, but the answer is final. */
static int clean_for_good(int folder, const char *file)
{
    int error = -EAGAIN;

    for (int tries = 0; error == -EAGAIN && tries < MAX_TRIES; tries++) {
        pause_for(tries);
        error = clean(folder, file);
    }
    return error == -EAGAIN ? -EEXIST : error;
}

/* Once a process: names that are never asked for again would otherwise stay. */
static void clean_folder(int folder)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    int again = atomic_flag_test_and_set(&done) ? -1 : openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    struct dirent *entry;

    if (entries == NULL) {
        if (again >= 0)
            close(again);
        return;
    }
    while ((entry = readdir(entries)) != NULL) {
        size_t length = strlen(entry->d_name), suffix = strlen(ENTRY_SUFFIX);

        if (length > suffix && strcmp(entry->d_name + length - suffix, ENTRY_SUFFIX) == 0)
            (void)clean(folder, entry->d_name);
    }
    closedir(entries);
}

#define RECORD_FORMAT                                                                                             \
    "numakit %" PRId32 "\nprocess %" PRId32 " in %" PRIu64 " %" PRIu64 "\nheader %" PRId32 " %" PRIu64 " %" PRIu64  \
    "\ndata %" PRId32 " %" PRIu64 " %" PRIu64 "\npages %" PRId32 " %" PRIu64 "\nbytes %" PRIu64 "\nnode %" PRId32 "\n"
#define RECORD_SCAN                                                                                               \
    "numakit %" SCNd32 " process %" SCNd32 " in %" SCNu64 " %" SCNu64 " header %" SCNd32 " %" SCNu64 " %" SCNu64    \
    " data %" SCNd32 " %" SCNu64 " %" SCNu64 " pages %" SCNd32 " %" SCNu64 " bytes %" SCNu64 " node %" SCNd32 "%1[\n]"

/* In one write: who reads sees nothing of it or all. */
static int write_record(int fd, const struct nk_record *record)
{
    const struct nk_file *header = &record->files[NK_HEADER_FILE], *data = &record->files[NK_DATA_FILE];
    char text[512];
    int length = snprintf(text, sizeof text, RECORD_FORMAT, NK_ABI_VERSION, record->process, record->pid_namespace,
                          record->time_namespace, header->number, header->device, header->inode, data->number,
                          data->device, data->inode, record->kind, record->page_bytes, record->data_bytes, record->node);
    ssize_t written = pwrite(fd, text, (size_t)length, 0);

    if (written < 0)
        return -errno;
    return written == length ? 0 : -ENOSPC;
}

/* -ENOENT not written yet. */
static int read_record(int fd, struct nk_record *record)
{
    struct nk_file *header = &record->files[NK_HEADER_FILE], *data = &record->files[NK_DATA_FILE];
    char text[512], end[2];
    int32_t version;
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    int fields;

    if (length < 0)
        return -errno;
    text[length] = 0;
    if (length == 0)
        return -ENOENT;
    fields = sscanf(text, RECORD_SCAN, &version, &record->process, &record->pid_namespace, &record->time_namespace,
                    &header->number, &header->device, &header->inode, &data->number, &data->device, &data->inode,
                    &record->kind, &record->page_bytes, &record->data_bytes, &record->node, end);
    return fields == 15 && version == NK_ABI_VERSION && record->process > 0 ? 0 : -EPROTO;
}

/* One try. Returns the entry's file, with both locks. -EAGAIN somebody was in the way for a moment. */
static int try_make(int folder, const char *file, const struct nk_record *record)
{
    int fd = openat(folder, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), error;

    if (fd < 0 && errno == EEXIST) {
        error = clean_for_good(folder, file);
        return error == 0 ? -EAGAIN : error;
    }
    if (fd < 0)
        return -errno;
    error = fchmod(fd, 0600) < 0 ? -errno : 0; /* whatever the umask took */
    if (error == 0 && (lock(fd, LIFE, LOCKS) < 0 || !is_at(folder, file, fd)))
        error = -EAGAIN; /* a cleaner had it before it was locked */
    if (error == 0) {
        error = write_record(fd, record);
        if (error < 0)
            (void)unlinkat(folder, file, 0);
    }
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

static int make(int folder, const char *file, const struct nk_record *record)
{
    int fd = -EAGAIN;

    for (int tries = 0; fd == -EAGAIN && tries < MAX_TRIES; tries++) {
        pause_for(tries);
        fd = try_make(folder, file, record);
    }
    return fd == -EAGAIN ? -EEXIST : fd;
}

/* Whether somebody has the name in a folder: -EEXIST then, and 0 when nobody can have it. */
static int look(int which, const char *file)
{
    int folder = nk_folder_open(which, false), error;

    if (folder < 0)
        return folder == -ENOENT || folder == -EPERM ? 0 : folder;
    error = clean_for_good(folder, file);
    close(folder);
    return error == -EUCLEAN ? 0 : error;
}

int nk_name_take(const char *name, const struct nk_record *record, struct nk_name **taken)
{
    struct nk_name *own = calloc(1, sizeof *own);
    int folder = -ENOENT, error = 0;

    if (own == NULL)
        return -ENOMEM;
    snprintf(own->file, sizeof own->file, "%s" ENTRY_SUFFIX, name);
    for (own->which = 0; own->which < NK_FOLDERS; own->which++) {
        folder = nk_folder_open(own->which, true);
        if (folder != -ENOENT)
            break;
    }
    if (folder < 0) {
        free(own);
        return folder;
    }
    clean_folder(folder);
    own->fd = make(folder, own->file, record);
    close(folder);
    if (own->fd < 0) {
        error = own->fd;
        free(own);
        return error;
    }
    /* Two that use different folders: both have their entries before they look, so at most one stays. */
    for (int which = 0; which < NK_FOLDERS && error == 0; which++)
        error = which == own->which ? 0 : look(which, own->file);
    if (error < 0)
        nk_name_give(own);
    else
        *taken = own;
    return error;
}

void nk_name_give(struct nk_name *taken)
{
    struct flock all = range_of(LIFE, LOCKS);
    int folder;

    if (taken == NULL)
        return;
    folder = nk_folder_open(taken->which, false);
    if (folder >= 0 && is_at(folder, taken->file, taken->fd))
        (void)unlinkat(folder, taken->file, 0);
    if (folder >= 0)
        close(folder);
    all.l_type = F_UNLCK;
    (void)fcntl(taken->fd, F_OFD_SETLK, &all);
    close(taken->fd);
    free(taken);
}

/* Returns 0 with the entry open; -ENOENT, -EPROTO, -EPERM, -EUCLEAN. */
static int find_in(int which, struct nk_record *record, struct nk_entry *entry)
{
    int error = 0;

    entry->folder = nk_folder_open(which, false);
    if (entry->folder < 0)
        return entry->folder;
    entry->fd = open_entry(entry->folder, entry->file);
    if (entry->fd < 0) {
        close(entry->folder);
        return entry->fd;
    }
    if (!is_locked(entry->fd, LIFE)) {
        (void)clean(entry->folder, entry->file);
        error = -ENOENT;
    }
    if (error == 0)
        error = read_record(entry->fd, record);
    if (error < 0)
        nk_entry_close(entry);
    return error;
}

int nk_name_find(const char *name, struct nk_record *record, struct nk_entry *entry)
{
    int error, own;

    snprintf(entry->file, sizeof entry->file, "%s" ENTRY_SUFFIX, name);
    error = find_in(0, record, entry);
    if (error != -ENOENT)
        return error;
    error = find_in(1, record, entry);
    if (error != -EPERM)
        return error;
    /* A stranger's folder. It is nothing to a user who has a place where strangers cannot be. */
    own = nk_folder_open(0, true);
    if (own >= 0)
        close(own);
    return own >= 0 ? -ENOENT : -EPERM;
}

int nk_entry_holds(const struct nk_entry *entry)
{
    return is_at(entry->folder, entry->file, entry->fd) && is_locked(entry->fd, LIFE);
}

void nk_entry_close(const struct nk_entry *entry)
{
    close(entry->fd);
    close(entry->folder);
}
